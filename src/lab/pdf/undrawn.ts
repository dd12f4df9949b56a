/** @file What the drawing of SVG as PDF does not know. */

/** Thrown at part of an SVG that is drawn in no other way than as pixels. */
export class Undrawn extends Error {}
