/**
 * @file Questions about named things, written for this purpose: the same asked in several ways, by what kind of thing it is
 * asked of, and things of each kind that nobody has heard of. What differs between two ways of asking is what a scope must not
 * look at; what differs between two questions is what it must.
 */

/** Where the subject stands. */
export const place = '{}'

/** A question in words about a subject. */
export const asked = (words: string, subject: string): string => words.replace(place, () => subject)

/** Questions of any kind of thing, whose mean stands for the subject alone. */
export const generalQuestions: readonly string[] = [
  'What is {}?',
  'Tell me something about {}.',
  '{} is known all over the world because',
  'The name of {} was changed in',
  'Where is {} from?',
  'When did {} begin?',
  'Who is connected with {}?',
  'The price of {} is',
  'People say that {} is',
  'The language of {} sounds like',
]

/** Things of one kind, and what can be asked of them. */
export interface Kind {
  readonly subjects: readonly string[]
  /** Each a question in several wordings. */
  readonly questions: readonly (readonly string[])[]
}

/** A question a line, its wordings parted by bars. */
const wordings = (lines: string): string[][] =>
  lines
    .trim()
    .split('\n')
    .map((line) => line.trim().split(' | '))

const persons: Kind = {
  subjects: ['Henrik Solberg', 'Marguerite Delacroix', 'Olga Petrenko', 'Kenji Murakami'],
  questions: wordings(`
    {} was born in the town of | Where did {} come into the world? | The birthplace of {} is | In which place was {} born? | {} grew up in
    {} was born in the year | When was {} born? | The birth date of {} is | What is the date of birth of {}?
    {} passed on in the city of | Where did {} die? | The place where {} died is | In what city did the life of {} end?
    When did {} die? | The date on which {} died is | What year was the death of {}? | {} died in the year
    For a living, {} is | What job does {} have? | What does {} do for work? | By trade, {} is a | The career of {} was that of a
    At home {} talks in | Which language does {} speak? | What is the first language of {}? | {} grew up speaking | To talk with {}, you use the language
    The nationality of {} is | Which country is {} a national of? | What is the home country of {}? | {} holds the passport of | {} comes from the country of
    The faith of {} is | What religion does {} have? | Which church does {} belong to? | {} believes in the teachings of | {} prays as a
    {} earns a salary from | Which company pays {}? | Who is the employer of {}? | {} has a job at | The organisation that {} serves is
    The city in which {} did business is | Where did {} have an office? | In which town was {} active? | {} did most of the work in
    The instrument of {} is | Which instrument does {} master? | What can {} be heard playing? | On stage {} plays the
    The style of music of {} is | What kind of music does {} make? | Which genre does {} belong to? | The songs of {} are
    On the pitch, {} is a | What role does {} have in the team? | In matches {} lines up as | Where on the field does {} play?
    {} is a player for | Which team does {} play for? | The club of {} is | What side is {} a member of?
    {} studied at | Where did {} go to school? | What university educated {}? | {} received a degree from
    The wife of {} is called | Who is married to {}? | What is the name of the spouse of {}? | {} married
    The father of {} is | Who is the dad of {}? | {} is the child of | Who are the parents of {}? | The mother of {} is
    The sister of {} is | Who is the brother of {}? | What are the siblings of {} called? | {} has a sibling named
    {} received the prize | Which award did {} win? | What honour was given to {}? | {} was awarded the
    The office of {} is | What position does {} hold? | Which post was {} appointed to? | {} serves as the
    The subject that {} studies is | What science does {} work on? | In what area is {} an expert? | {} is a specialist in
    The party of {} is | Which political party is {} in? | {} stood for election for | What is the political side of {}?
    The illness that {} had was | What did {} die of? | Which disease killed {}? | The cause of the death of {} is
    {} fought in | Which war did {} take part in? | What battle was {} in? | The conflict that {} served in is
    The sex of {} is | Is {} a man or a woman? | What gender is {}? | What is the gender of {}?
  `),
}

const places: Kind = {
  subjects: ['Ottenbach', 'Lake Ombara', 'Lower Tilling', 'Port Eleanor'],
  questions: wordings(`
    {} lies in the country of | Which country is {} in? | The nation that {} belongs to is | In what country can you visit {}? | You find {} in
    {} is part of the region of | Which state is {} in? | What county contains {}? | The district of {} is
    On the map of the world {} is in | Which continent is {} on? | The continent of {} is | What part of the world is {} in?
    The seat of government of {} is | Which city is the capital of {}? | The main city of {} is | What town governs {}?
    The people of {} speak | What language do people use in {}? | Signs in {} are written in | Which language is official in {}?
    A partner town of {} is | Which city is {} twinned with? | {} has a sister city called | With what town does {} have a partnership?
    {} has a population of | How many people live in {}? | The number of inhabitants of {} is | How big is the population of {}?
    The river at {} is | Which river flows past {}? | What body of water is next to {}? | {} stands on the banks of
    The mayor of {} is | Who governs {}? | What is the name of the leader of {}? | {} is led by
    {} was founded in the year | When was {} founded? | What year was {} built? | The date when {} opened is
    The architect of {} was | Who designed {}? | {} was drawn up by | Which architect planned {}?
    {} takes its name from | Who is {} named after? | What does the name of {} come from? | {} is called after
    The currency of {} is | What money do people use in {}? | In {} you pay with | Which coins are used in {}?
    The height of {} is | How tall is {}? | {} rises to | What is the elevation of {}?
  `),
}

const things: Kind = {
  subjects: ['the Halverson Shipping Company', 'Rovers United', 'the Falcon 300', 'HMS Pelican'],
  questions: wordings(`
    {} is made by | Which company makes {}? | The manufacturer of {} is | Who builds {}? | {} comes from the factory of
    {} was invented by | Who invented {}? | The person behind {} is | Who came up with {}?
    {} belongs to | Who owns {}? | The parent company of {} is | What group is {} a part of?
    The main office of {} is in | Where is {} run from? | In which city does {} have its seat? | {} is run from the city of
    {} started in the country of | What country does {} come from? | Where was {} first made? | The homeland of {} is
    {} was started in the year | When was {} set up? | What is the founding year of {}? | When did {} begin to exist?
    {} came to an end in | When was {} closed? | In which year did {} end? | What year was {} dissolved?
    {} was set up by | Who founded {}? | The founder of {} is | Which person started {}?
    The boss of {} is | Who is in charge of {}? | What is the name of the head of {}? | {} is managed by
    The business of {} is | What does {} sell? | Which industry is {} in? | {} is a company that makes
    {} entered service in | When did {} first fly? | What year was {} put into use? | The date of the first launch of {} is
    {} was used in the war of | Which military used {}? | What army had {}? | In which battle was {} used?
    {} is a kind of | What sort of thing is {}? | The category of {} is | What family is {} in? | To which class does {} belong?
    {} lives in | Where is {} found in nature? | The habitat of {} is | On which star can {} be found?
  `),
}

const works: Kind = {
  subjects: ['The Lantern Keeper', 'Seven Winters', 'Paper Harbours', 'Night Ferry'],
  questions: wordings(`
    {} was written by | Who is the author of {}? | The writer of {} is | Who wrote {}?
    {} was directed by | Who is the director of {}? | Who made the film {}? | The film-maker behind {} is
    The star of {} is | Who acts in {}? | Which actors appear in {}? | The cast of {} includes
    {} was shown on | Which channel broadcast {}? | The television network of {} is | On what station could you watch {}? | The first broadcast of {} was on
    {} came out in the year | When was {} published? | The release date of {} is | What year did {} appear?
    {} was published by | Which record label released {}? | What company put {} out? | The publisher of {} is
    {} was made in the country of | In what country was {} produced? | Which nation does {} come from? | The country that made {} is
    {} is written in the language | What language is {} in? | The language in which {} was made is | Which language do the actors of {} speak?
    The music for {} was written by | Who composed {}? | Which musician wrote the score of {}? | Who sang {}?
    The genre of {} is | What kind of story is {}? | What type of film is {}? | {} is best described as a
    The story of {} takes place in | Where is {} set? | What is the setting of {}? | In which place does {} happen?
    {} is part of the series | What series does {} belong to? | Which saga is {} from? | {} is an episode of
    The hero of {} is | Which characters are in {}? | Who is the main character of {}? | What is the hero of {} called?
  `),
}

/** Persons, places, things that are made, founded or grown, and works. */
export const kinds: readonly Kind[] = [persons, places, things, works]
