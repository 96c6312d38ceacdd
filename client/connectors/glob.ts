/** Absolute paths with `*`, `?`, `**`, `[a-z]` and `{a,b}`, as a shell understands them; hidden names only where the pattern says so. */
export function isGlob(path: string): boolean {
  return /[*?[{]/.test(path)
}

/** The directory above the first wild card, and the pattern for whole paths. */
export function parseGlob(pattern: string): { readonly base: string; readonly matches: RegExp } {
  const parts = pattern.split('/')
  const wild = parts.findIndex(isGlob)
  return { base: parts.slice(0, wild).join('/') || '/', matches: new RegExp(`^${toRegExp(pattern)}$`) }
}

function toRegExp(pattern: string): string {
  let source = ''
  let depth = 0
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!
    if (pattern.startsWith('**/', i)) {
      source += '(?:[^./][^/]*/)*'
      i += 2
    } else if (char === '*') {
      const first = i === 0 || pattern[i - 1] === '/' // A leading dot is matched by a dot only.
      const all = pattern[i + 1] === '*'
      if (all) i++
      source += first ? `(?!\\.)${all ? '.*' : '[^/]*'}` : all ? '.*' : '[^/]*'
    } else if (char === '?') source += '[^/]'
    else if (char === '[' && pattern.indexOf(']', i + 2) > 0) {
      const end = pattern.indexOf(']', i + 2)
      source += `[${pattern
        .slice(i + 1, end)
        .replace(/^!/, '^')
        .replaceAll('\\', '\\\\')}]`
      i = end
    } else if (char === '{') {
      depth++
      source += '(?:'
    } else if (char === '}' && depth > 0) {
      depth--
      source += ')'
    } else if (char === ',' && depth > 0) source += '|'
    else source += char.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&')
  }
  return source
}
