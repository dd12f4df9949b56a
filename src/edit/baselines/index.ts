/** @file Methods of lifelong editing in one harness: no edit, fine-tuning, ROME, MEMIT, AlphaEdit, GRACE, WISE, MEMOIR and its ablations. */
export type { EditedModel, EditingMethod, Lesson, MethodOptions, Scored, Taught, Words } from './method.ts'
export { scaledLayer } from './method.ts'
export { editingMethods, methodOf } from './methods.ts'
