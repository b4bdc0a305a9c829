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

/**
 * The colours of a dark page. Drawings name the light ones, which is what a reader gets who knows
 * no style sheets.
 */
const DARK: Readonly<Record<string, string>> = {
  "#ffffff": "#0d1117",
  "#24292f": "#e6edf3",
  "#57606a": "#9da7b3",
  "#d0d7de": "#30363d",
  "#8c959f": "#7d8590",
  "#0969da": "#58a6ff",
  "#d4a72c": "#d29922",
  "#cf222e": "#ff7b72",
  "#1a7f37": "#3fb950",
  "#8250df": "#bc8cff",
  "#bf8700": "#e3b341",
  "#1b7c83": "#39c5cf",
  "#bf3989": "#f778ba",
  "#953800": "#f0883e",
};

/** One rule for each colour that a drawing uses. */
function darkStyle(markup: string): string {
  const rules = Object.entries(DARK).filter(([light]) => markup.includes(light))
    .flatMap(([light, dark]) =>
      ["fill", "stroke"].filter((name) => markup.includes(`${name}="${light}"`))
        .map((name) => `[${name}="${light}"]{${name}:${dark}}`)
    );
  return `@media (prefers-color-scheme:dark){${rules.join("")}}`;
}

export interface Drawing {
  width: number;
  height: number;
  /** Read out instead of the picture. */
  title: string;
  parts: readonly string[];
}

/** A whole file, on a background of its own, light or dark as the reader prefers. */
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
  const drawn = [element("rect", { width: "100%", height: "100%", fill: "#ffffff" }), ...parts];
  const style = darkStyle(element("svg", attributes, drawn.join("")));
  const body = [
    element("title", {}, escapeXml(title)),
    element("style", {}, style),
    ...drawn,
  ];
  return `${element("svg", attributes, `\n${body.join("\n")}\n`)}\n`;
}

/** The next larger of 1, 2, 2.5, 5 or 10 times a power of ten. */
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 2, 2.5, 5, 10];
  return (steps.find((step) => step * power >= value * (1 - 1e-9)) ?? 10) * power;
}
