/** @file Methods of lifelong editing in one harness: no edit, fine-tuning, ROME, MEMIT, AlphaEdit, GRACE, WISE, UltraEdit, MEMOIR and its ablations. */
export type { EditedModel, Lesson, MethodOptions } from './method.ts'
export { editingMethods, methodOf } from './methods.ts'
