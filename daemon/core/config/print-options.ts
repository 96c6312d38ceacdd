/** The option table as conf/config.yaml and as the README's table; a test compares both with what is printed here. */
import { OPTIONS, type OptionKey, type OptionSpec } from './options.js'

const ENTRIES = Object.entries(OPTIONS) as readonly [OptionKey, OptionSpec][]

const SECTIONS: readonly { readonly title: string; readonly prefixes: readonly string[] }[] = [
  { title: 'Addresses', prefixes: ['jobmanager.', 'high-availability.jobmanager', 'rest.', 'client.'] },
  { title: 'High availability', prefixes: ['high-availability.'] },
  { title: 'TaskManagers and slots', prefixes: ['taskmanager.', 'task.', 'slot.', 'heartbeat.', 'io.', 'jobstore.'] },
  { title: 'Logs and scripts', prefixes: ['env.'] },
  { title: 'Jobs: defaults, which a program or flott run -D may override', prefixes: ['parallelism.', 'pipeline.', 'execution.'] },
  { title: 'Restarts', prefixes: ['restart-strategy.'] },
]

/** Options with their section, each in the first section that takes it. */
function sections(): { title: string; entries: (readonly [OptionKey, OptionSpec])[] }[] {
  const taken = new Set<string>()
  return SECTIONS.map(({ title, prefixes }) => {
    const entries = ENTRIES.filter(([key]) => !taken.has(key) && prefixes.some((prefix) => key.startsWith(prefix)))
    for (const [key] of entries) taken.add(key)
    return { title, entries }
  })
}

/** `set` are the keys that the file sets; all others stand as comments with their defaults. */
export function printConfigYaml(set: Readonly<Partial<Record<OptionKey, string>>> = {}): string {
  const lines = [
    '# Configuration of Flott. Every key with its default; remove the # to change one.',
    '# The environment (FLOTT_REST_PORT=8082) goes over this file, and -D key=value goes over both. Unknown keys are errors.',
  ]
  for (const { title, entries } of sections()) {
    lines.push('', `## ${title}`)
    for (const [key, option] of entries) {
      lines.push('', ...wrap(`${option.doc} (${option.kind.label})`).map((line) => `# ${line}`))
      const value = set[key]
      lines.push(value === undefined ? `#${key}: ${quoted(option.default)}` : `${key}: ${quoted(value)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

export function printOptionsMarkdown(): string {
  const rows = sections().flatMap(({ entries }) =>
    entries.map(
      ([key, o]) => `| \`${key}\` | ${o.default === '' ? '' : `\`${o.default}\``} | ${o.kind.label.replaceAll('|', '\\|')} | ${o.doc} |`,
    ),
  )
  return ['| key | default | value | meaning |', '|---|---|---|---|', ...rows].join('\n')
}

function quoted(text: string): string {
  return text === '' || /[:#{}[\],&*?|<>=!%@`]/.test(text) ? `'${text}'` : text
}

function wrap(text: string, width = 120): string[] {
  const lines: string[] = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1)!
    if (last === '') lines[lines.length - 1] = word
    else if (last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
