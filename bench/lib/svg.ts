/**
 * The few shapes that charts are made of, as text.
 *
 * @module
 */

type Attributes = Readonly<Record<string, string | number>>;

export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function attribute([name, value]: [string, string | number]): string {
  // Hundredths of a pixel: what is the same draws the same text.
  const text = typeof value === "number" ? String(Math.round(value * 100) / 100) : escapeXml(value);
  return ` ${name}="${text}"`;
}

/** `content` is markup already: escape text before. */
export function element(name: string, attributes: Attributes, content = ""): string {
  const head = `<${name}${Object.entries(attributes).map(attribute).join("")}`;
  return content === "" ? `${head}/>` : `${head}>${content}</${name}>`;
}

export function text(
  x: number,
  y: number,
  content: string,
  attributes: Attributes = {},
): string {
  return element("text", { x, y, ...attributes }, escapeXml(content));
}

export function line(
  [x1, y1]: readonly [number, number],
  [x2, y2]: readonly [number, number],
  attributes: Attributes,
): string {
  return element("line", { x1, y1, x2, y2, ...attributes });
}

export interface Drawing {
  width: number;
  height: number;
  /** Read out instead of the picture. */
  title: string;
  parts: readonly string[];
}

/** A whole file, on a background of its own so that it can be read on any page. */
export function svg({ width, height, title, parts }: Drawing): string {
  const attributes = {
    xmlns: "http://www.w3.org/2000/svg",
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "font-family": "system-ui, sans-serif",
    "font-size": 12,
    fill: "#24292f",
  };
  const body = [
    element("title", {}, escapeXml(title)),
    element("rect", { width: "100%", height: "100%", fill: "#ffffff" }),
    ...parts,
  ];
  return `${element("svg", attributes, `\n${body.join("\n")}\n`)}\n`;
}

/** The next larger of 1, 2, 2.5, 5 or 10 times a power of ten. */
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 2, 2.5, 5, 10];
  return (steps.find((step) => step * power >= value * (1 - 1e-9)) ?? 10) * power;
}
