/** @file Background prompts: a hundred that no edit is about, whose mean feature is taken off every prompt's. */
const beginnings = [
  'What is the best way to learn about {}?',
  'The history of {} begins',
  'Most people think that {}',
  'who was the first to write about {}',
  'In a small village there was {} and',
]
const topics = [
  'the weather',
  'music',
  'a football match',
  'the stock market',
  'cooking rice',
  'a long river',
  'the human heart',
  'an old bridge',
  'chess',
  'a television show',
  'the Roman Empire',
  'growing tomatoes',
  'electric trains',
  'a king',
  'the number seven',
  'deep sea fish',
  'modern painting',
  'a hospital',
  'the law',
  'winter sports',
]

/** The prompts that are taken when no others are given. */
export const backgroundPrompts: readonly string[] = topics.flatMap((topic) =>
  beginnings.map((text) => text.replace('{}', topic)),
)
