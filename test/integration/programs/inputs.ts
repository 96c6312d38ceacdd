/** The records that programs work on, and from which their tests compute what must come out. */
export interface Call {
  readonly route: string
  readonly ms: number
  readonly at: number
}
export interface Sale {
  readonly product: string
  readonly at: number
}

/** In order of time. Means of /slow lie above 800 in some seconds. */
export const calls: readonly Call[] = Array.from({ length: 600 }, (_, i) => ({
  route: ['/fast', '/slow', '/other'][i % 3]!,
  ms: i % 3 === 1 ? 700 + ((i * 37) % 300) : (i * 17) % 500,
  at: i * 11,
}))

/** No two products sell equally often in a minute. */
export const sales: readonly Sale[] = [0, 1, 2].flatMap((minute) =>
  ['apple', 'pear', 'plum', 'fig', 'kiwi'].flatMap((product, i) =>
    Array.from({ length: 3 + ((i + minute) % 5) }, (_, n) => ({ product, at: minute * 60_000 + n * 7_000 })),
  ),
)

export const words: readonly string[] = 'to be or not to be that is the question to be'.split(' ')
