/** @file Text in the width of a terminal. */

/** Cut a word that is wider than a line, after a comma where there is one: values are lists without spaces. */
function cutWord(word: string, width: number): string[] {
  if (word.length <= width) return [word]
  const comma = word.lastIndexOf(',', width - 1) + 1
  const at = comma > width / 4 ? comma : width
  return [word.slice(0, at), ...cutWord(word.slice(at), width)]
}

/** Lines of a text, each behind `indent` blanks and no longer than `columns`. */
export function wrap(text: string, columns: number, indent = 0): string {
  const width = Math.max(20, columns - indent)
  const lines: string[] = []
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const [first = '', ...rest] = cutWord(word, width)
    const line = lines.at(-1)
    if (line !== undefined && line.length + 1 + first.length <= width)
      lines[lines.length - 1] = `${line} ${first}`
    else lines.push(first)
    lines.push(...rest)
  }
  return lines.map((line) => ' '.repeat(indent) + line).join('\n')
}
