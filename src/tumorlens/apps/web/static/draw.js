// Drawing: greys by window and level, the map as colour or as a line, the bar of a volume.

export function unpack(buffer) {
  const head = new DataView(buffer);
  return {
    width: head.getUint32(0, true), height: head.getUint32(4, true),
    black: head.getFloat32(8, true), white: head.getFloat32(12, true),
    greys: new Uint16Array(buffer.slice(16)),
  };
}

function colourOf(table, value) {
  const place = value * (table.length - 1);
  const i = Math.min(Math.floor(place), table.length - 2);
  return table[i].map((x, k) => x + (place - i) * (table[i + 1][k] - x));
}

export function draw(canvas, slice, map, look) {
  const { width, height, greys } = slice;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const middle = (slice.black + slice.white) / 2 + look.level * (slice.white - slice.black);
  const span = Math.max(1e-4, (slice.white - slice.black) * look.window);
  const low = (middle - span / 2) * 65535;
  const scale = 255 / (span * 65535);
  const palette = Array.from({ length: 256 }, (_, i) => colourOf(look.table, i / 255));
  for (let i = 0, p = 0; i < greys.length; i += 1, p += 4) {
    const grey = Math.max(0, Math.min(255, (greys[i] - low) * scale));
    const heat = map && look.style === "colour" ? map[i] : 0;
    const dense = look.strength * heat / 255;
    for (let k = 0; k < 3; k += 1) image.data[p + k] = grey * (1 - dense) + palette[heat][k] * dense;
    image.data[p + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  if (map && look.style === "contour") contour(context, map, width, height, look.strength);
}

function contour(context, map, width, height, strength) {
  const wide = Math.max(1, Math.round(Math.max(width, height) / 256));
  const edge = [];
  for (let y = 1; y < height; y += 1) {
    for (let x = 1; x < width; x += 1) {
      const inside = map[y * width + x] >= 128;
      if (inside !== map[y * width + x - 1] >= 128 || inside !== map[(y - 1) * width + x] >= 128) edge.push([x, y]);
    }
  }
  context.globalAlpha = strength;
  for (const [colour, size] of [["#000", 3 * wide], ["#F0E442", wide]]) {
    context.fillStyle = colour;
    for (const [x, y] of edge) context.fillRect(x - size / 2, y - size / 2, size, size);
  }
  context.globalAlpha = 1;
}

export function drawBar(canvas, answers, current, healthy) {
  const count = answers.length;
  canvas.width = Math.max(600, count);
  canvas.height = 60;
  const context = canvas.getContext("2d");
  const step = canvas.width / count;
  answers.forEach((found, i) => {
    if (!found || !found.answer) return;
    const { probabilities, confidence, assessable } = found.answer;
    const tumour = healthy ? 1 - probabilities[healthy] : confidence;
    context.fillStyle = assessable ? "#d55e00" : "#8a8f98";
    context.fillRect(i * step, 60 - 58 * tumour, Math.max(1, step - 1), 58 * tumour);
  });
  context.fillStyle = "#0072b2";
  context.fillRect((current + 0.5) * step - 2, 0, 4, 60);
}
