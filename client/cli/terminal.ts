/** Data on stdout, messages on stderr: everything that the CLI prints goes through here. */
export interface Terminal {
  /** Data: what a script reads. */
  out(text: string): void
  /** Messages for people. */
  note(text: string): void
  readonly isTty: boolean
  readonly columns: number
  /** Replaces the block drawn before by these lines; an empty list removes it. On a terminal only. */
  redraw(lines: readonly string[]): void
}

export function processTerminal(): Terminal {
  let drawn = 0
  const erase = () => {
    if (drawn > 0) process.stderr.write(`\x1b[${drawn}A\x1b[0J`)
    drawn = 0
  }
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    note(text) {
      erase()
      process.stderr.write(`${text}\n`)
    },
    isTty: process.stderr.isTTY === true,
    get columns() {
      return columnsOf(process.stderr)
    },
    redraw(lines) {
      erase()
      const width = columnsOf(process.stderr) - 1
      for (const line of lines) process.stderr.write(`${line.length > width ? `${line.slice(0, width - 1)}…` : line}\n`)
      drawn = lines.length
    },
  }
}

/** A terminal that does not know its size says 0. */
function columnsOf({ columns }: { readonly columns?: number }): number {
  return columns || 80
}
