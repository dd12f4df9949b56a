/** All violations of the layer rule below `source`, as messages. */
export function violations(source: string): string[]
