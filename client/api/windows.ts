import { windows as all } from '#core/eventtime/window-assigners.js'

/** Window assigners; event time unless the options say otherwise. */
export const windows = { tumbling: all.tumbling } as const
