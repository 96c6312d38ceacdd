# Sourced by the other scripts: where the installation is, which node runs it, and what the configuration says.

flott_resolve() { # PATH -> the file that it leads to through symbolic links
  local path=$1 dir target
  while [ -h "$path" ]; do
    dir=$(cd -P "$(dirname "$path")" && pwd)
    target=$(readlink "$path")
    case $target in /*) path=$target ;; *) path=$dir/$target ;; esac
  done
  echo "$(cd -P "$(dirname "$path")" && pwd)/$(basename "$path")"
}

flott_given=$(compgen -e FLOTT_ || true) # Names of what was set from outside: it holds on other hosts, too.
FLOTT_HOME=$(dirname "$(dirname "$(flott_resolve "${BASH_SOURCE[0]}")")")
FLOTT_CONF_DIR=${FLOTT_CONF_DIR:-$FLOTT_HOME/conf}
FLOTT_NODE=${FLOTT_NODE:-node}
FLOTT_IDENT_STRING=${FLOTT_IDENT_STRING:-$(id -un)}
export FLOTT_HOME FLOTT_CONF_DIR FLOTT_NODE FLOTT_IDENT_STRING

flott_die() { # EXIT_CODE MESSAGE...
  local code=$1
  shift
  echo "[ERROR] $*" >&2
  exit "$code"
}

# --help says what the comment at the top of the script says.
case ${0##*/}:${1:-} in
  *.sh:-h | *.sh:--help)
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac

[ -d "$FLOTT_CONF_DIR" ] || flott_die 78 "the configuration directory $FLOTT_CONF_DIR does not exist (FLOTT_CONF_DIR)"
FLOTT_CONF_DIR=$(cd "$FLOTT_CONF_DIR" && pwd)
command -v "$FLOTT_NODE" > /dev/null || flott_die 1 "node was not found: install Node.js 20.19 or later, or set FLOTT_NODE"
[ -e "$FLOTT_HOME/dist/client/cli/main.js" ] || flott_die 1 "$FLOTT_HOME is not built: run npm ci && npm run build there"

flott_config() { # [-D key=value...] KEY... -> the value of each, a line each; the file, the environment and -D are checked on the way
  "$FLOTT_NODE" "$FLOTT_HOME/dist/client/cli/main.js" config "$@" || exit
}

flott_path() { # PATH -> absolute, relative ones below the installation
  case $1 in /*) echo "$1" ;; *) echo "$FLOTT_HOME/$1" ;; esac
}

flott_hosts() { # FILE -> its lines without comments and blanks
  [ -r "$1" ] || flott_die 78 "$1 can not be read"
  sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$1"
}

flott_is_local() { # HOST
  case $1 in localhost | 127.0.0.1 | ::1 | "[::1]") return 0 ;; *) return 1 ;; esac
}

flott_on_host() { # HOST SCRIPT ARGS... -> runs a script of this directory there, and gives its exit code
  local host=$1 script=$2 code=0
  shift 2
  if flott_is_local "$host"; then
    "$FLOTT_HOME/bin/$script" "$@"
    return
  fi
  command -v ssh > /dev/null || flott_die 1 "ssh was not found: $script is to run on $host (apt-get install openssh-client)"
  # A login shell, so that the host's own profile finds node there. Our options are defaults: of two, ssh takes the first.
  # shellcheck disable=SC2086 # the options are several words
  ssh ${FLOTT_SSH_OPTS:-} -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 "$host" -- bash -l -s \
    <<< "$(flott_remote_script "$script" "$@")" || code=$?
  case $code in
    255) echo "[ERROR] ssh to $host failed (exit code 255), so $script ${1:-} did not run there, or its end is unknown. Does 'ssh${FLOTT_SSH_OPTS:+ $FLOTT_SSH_OPTS} $host true' work without a password? (env.ssh.opts)" >&2 ;;
    126 | 127) echo "[ERROR] $FLOTT_HOME/bin/$script can not be run on $host (exit code $code): the installation is to be at the same path on every host." >&2 ;;
  esac
  return "$code"
}

flott_remote_script() { # SCRIPT ARGS... -> for the standard input of bash: what was set here is not seen in the host's list of processes
  local name script=$1
  shift
  for name in $flott_given FLOTT_CONF_DIR; do printf 'export %s=%q\n' "$name" "${!name}"; done
  printf 'exec %q' "$FLOTT_HOME/bin/$script"
  [ $# -eq 0 ] || printf ' %q' "$@"
  printf ' < /dev/null\n'
}
