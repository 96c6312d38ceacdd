import type { Config } from '#core/config/options.js'
import { type JobConfiguration, OPTIONS } from '#core/config/options.js'
import { configOf, didYouMean, isOptionKey } from '#core/config/resolve-config.js'
import { FlottError } from '#core/errors.js'

/** What a program may set, in Flink's keys; over the cluster's configuration, below what `flott run -D` says. */
export type Configuration = Omit<JobConfiguration, 'pipeline.global-job-parameters'> & {
  /** User functions read them from RuntimeContext.jobInfo.globalParameters. */
  readonly 'pipeline.global-job-parameters'?: Readonly<Record<string, string>>
}

/** As text, the form in which settings travel. INVALID_CONFIG for an unknown key, one that is not a job's, or a value that does not parse. */
export function settingsOf(configuration: Configuration): Readonly<Record<string, string>> {
  const settings: Record<string, string> = {}
  for (const [key, value] of Object.entries(configuration)) {
    if (value === undefined) continue
    if (!isOptionKey(key)) throw new FlottError('INVALID_CONFIG', `unknown key '${key}'${didYouMean(key)}`)
    if (OPTIONS[key].scope !== 'job')
      throw new FlottError('INVALID_CONFIG', `${key} is no setting of a job, but of the ${OPTIONS[key].scope}`)
    settings[key] = asText(key, value)
  }
  configOf(settings, 'program')
  return settings
}

/** Settings with their defaults. */
export function configOfSettings(settings: Readonly<Record<string, string>>): Config {
  return configOf(settings, 'job').config
}

function asText(key: string, value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .map(([name, parameter]) => {
      if (/[:,]/.test(name) || String(parameter).includes(','))
        throw new FlottError('INVALID_CONFIG', `${key}: '${name}' may hold no comma`)
      return `${name}:${String(parameter)}`
    })
    .join(',')
}
