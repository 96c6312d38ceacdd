/** The error table as the README shows it; a test compares the two. */
import { ERRORS, type ErrorSpec } from './errors.js'

export function printErrorsMarkdown(): string {
  const rows = (Object.entries(ERRORS) as readonly [string, ErrorSpec][]).map(
    ([code, { http, outcome, retry, doc }]) => `| \`${code}\` | ${http} | ${outcome} | ${retry ? 'yes' : 'no'} | ${doc} |`,
  )
  return ['| code | HTTP | outcome | retry | meaning |', '|---|---|---|---|---|', ...rows].join('\n')
}
