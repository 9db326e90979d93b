#!/usr/bin/env bash
# shellcheck disable=SC2317 # parts are called by name
# lint.sh - what compilers and tests do not see: shellcheck, the project's own rules, cppcheck, clang-tidy.
#
# `make lint` builds the libraries first (generated headers and symbol tables are needed) and hands over LINT_BUILD and
# LINT_CFLAGS. Files that clang-tidy has passed are not looked at again until they, a header or the settings change.
# Environment: F (only C files that have this in their path, and nothing but clang-tidy).
set -euo pipefail
# Columns are counted in characters, whatever the machine speaks.
export LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=${LINT_BUILD:-build}
read -ra cflags <<<"${LINT_CFLAGS:?run make lint}"
stamps=$build/lint
jobs=2
failed=0

# files PATTERN...: those of the tree that are there, generated ones not among them.
files() {
	local f
	git ls-files -co --exclude-standard "$@" | while read -r f; do
		[ ! -e "$f" ] || echo "$f"
	done
}

# part NAME COMMAND...: its output is findings; it shows the time that it took.
part() {
	local name=$1 out from=$EPOCHSECONDS
	shift
	if out=$("$@" 2>&1) && [ -z "$out" ]; then
		printf 'ok    %-16s %4d s\n' "$name" $((EPOCHSECONDS - from))
	else
		printf '%s\nFAIL  %-16s %4d s\n' "$out" "$name" $((EPOCHSECONDS - from))
		failed=1
	fi
}

shell_scripts() {
	local -a list
	mapfile -t list < <(files '*.sh' .ci/run)
	shellcheck "${list[@]}"
}

format() {
	local -a list
	mapfile -t list < <(files '*.c' '*.h' '*.cc')
	clang-format --dry-run --Werror "${list[@]}"
}

# --- the project's rules ---

# never RULE PATTERN FILE...: no line of the files matches (extended regular expression).
never() {
	local rule=$1 pattern=$2
	shift 2
	[ $# -gt 0 ] || return 0
	grep -nHE -- "$pattern" "$@" | sed "s|\$|  <- $rule|" || true
}

# except PATTERN: the files on standard input that are not of this name.
except() {
	grep -vE "$1" || true
}

# may_include FOLDER OTHERS...: its files include of the project's headers only its own and those of these folders.
may_include() {
	local folder=$1 others
	others=$(printf '|%s' "$@")
	local -a list
	mapfile -t list < <(files "$folder/*.c" "$folder/*.h")
	[ "${#list[@]}" -gt 0 ] || return 0
	grep -nHE '^#include "[a-z]+/' "${list[@]}" | grep -vE "#include \"(${others#|})/" |
		sed "s|\$|  <- $folder/ may include only ${*:2}|" || true
}

rules_layers() {
	may_include common
	may_include proto common
	may_include rundef common
	may_include evaluate common
	may_include gateway common proto rundef evaluate
	may_include runservice common proto
	may_include executor common proto
	may_include cli common rundef evaluate
	may_include toolbox proto
	local -a list
	mapfile -t list < <(files 'toolbox/*')
	grep -nHE '^#include "proto/' "${list[@]}" | grep -vE '"proto/(frame|toolbox_msg)\.h"' |
		sed 's|$|  <- the toolbox speaks frames only|' || true
	mapfile -t list < <(files 'toolbox/*.c' 'toolbox/*.h' proto/frame.c proto/toolbox_msg.c)
	grep -nHE '^#include <' "${list[@]}" | grep -E '<(openssl|curl|event2|nng|jansson|yaml|sodium|protobuf-c|libpq|postgresql)[/.-]' |
		sed 's|$|  <- the toolbox needs libc and zstd only|' || true
}

rules_doors() {
	local -a list
	mapfile -t list < <(files '*.c' '*.h' | except '^common/db')
	never 'libpq is behind common/db.h' 'libpq-fe\.h[>"]' "${list[@]}"
	mapfile -t list < <(files '*.c' '*.h' | except '^tests/|/store(_[a-z]+)?\.[ch]$|^common/db')
	never 'SQL is in store_*.c' '\bdb_(exec|query|exec_sql)\(' "${list[@]}"
	never 'SQL is in store_*.c' '"[^"]*\b(select .* from|insert into|delete from|update [a-z_]+ set)\b' "${list[@]}"
	mapfile -t list < <(files '*.c' '*.h' | except '^common/httpc(_[a-z]+)?\.[ch]$')
	never 'curl is behind common/httpc.h' '<curl/' "${list[@]}"
	# The barest server of the figures is evhttp itself.
	mapfile -t list < <(files '*.c' '*.h' | except '^common/http_server(_[a-z]+)?\.[ch]$|^bench/web\.c$')
	never 'evhttp is behind common/http_server.h' '<event2/(http|http_struct|http_compat)\.h>|<evhttp\.h>' "${list[@]}"
	mapfile -t list < <(files '*.c' '*.h' | except '^evaluate/')
	never 'libjsonnet is behind evaluate/' '<libjsonnet' "${list[@]}"
	mapfile -t list < <(files '*.c' '*.h' | except '^common/|^bench/web\.c$')
	never 'libevent is behind common/' '<event2/' "${list[@]}"
	mapfile -t list < <(files '*.c' '*.h' | except '^common/rpc(_[a-z]+)?\.[ch]$')
	never 'NNG is behind common/rpc.h' '<nng/' "${list[@]}"
	mapfile -t list < <(files '*.c' '*.h' | except '^common/mem\.[ch]$|^tests/|^toolbox/|^proto/')
	never 'memory comes from common/mem.h' '(^|[^a-z_])(malloc|calloc|realloc|strdup|strndup|asprintf|vasprintf) ?\(' \
		"${list[@]}"
}

rules_text() {
	local -a list
	mapfile -t list < <(files | except '^tests/lint\.sh$|^LICENSE$')
	never 'nothing is left to do later in the tree' '\b(TODO|FIXME|XXX)\b' "${list[@]}"
	never 'no paths of one machine' '(^|[^A-Za-z0-9_.])/(work|home/[a-z]+|Users)/' "${list[@]}"
	mapfile -t list < <(files '*.c' '*.h' '*.cc')
	never 'no typedef of a struct' '^typedef struct' "${list[@]}"
	never 'lines are at most 100 columns' '^.{101,}$' "${list[@]}"
	mapfile -t list < <(files 'tests/*.c' 'tests/integration/*.sh')
	never 'tests wait for conditions' '(^|[^a-z_])(sleep|usleep|nanosleep)\(|^\t*sleep ' "${list[@]}"
}

# A line about a task says whose it is: run and task, or the directory when that is not known.
rules_logs() {
	local -a list
	mapfile -t list < <(files 'executor/task.c' 'executor/setup.c' 'executor/step*.c' 'executor/save.c' 'executor/restore.c')
	awk '/(^|[^a-z_])log_(info|warn|error|err)\(/ { text = ""; from = FNR; open = 1 }
		open { text = text $0 }
		open && /\);/ {
			if (text !~ /EX_LOG_IDS|"dir"/) print FILENAME ":" from ": the line names neither run nor task (EX_LOG_IDS)"
			open = 0
		}' "${list[@]}"
}

# A header is guarded by its name and compiles alone; a source begins with its own header.
rules_headers() {
	local f guard own first
	while read -r f; do
		guard=$(printf '%s' "${f%.h}_H" | tr 'a-z/.-' 'A-Z___')
		grep -qx "#ifndef $guard" "$f" || echo "$f: the guard is not $guard"
		gcc -fsyntax-only -x c "${cflags[@]}" -include "$f" /dev/null || echo "$f: does not compile alone"
	done < <(files '*.h')
	while read -r f; do
		own=${f%.c}.h
		[ -e "$own" ] || continue
		first=$(grep -m 1 '^#include' "$f")
		case $first in
		"#include \"$own\"" | "#include \"$(basename "$own")\"" | "#include \"${own%.h}_int.h\"" | "#include \"$(basename "${own%.h}")_int.h\"") ;;
		*) echo "$f: its first include is not \"$own\"" ;;
		esac
	done < <(files '*.c')
}

# symbols FOLDER PREFIX (extended regular expression): what its library shows to others.
symbols() {
	local lib=$build/lib/lib$1.a
	nm -g --defined-only "$lib" 2>/dev/null |
		awk -v lib="$lib" -v prefix="$2" 'NF == 3 && $3 !~ "^(" prefix ")" && $3 !~ /^(millrace__|_Z|DW\.ref|__)/ {
			print lib ": " $3 " has no prefix of its module (" prefix ")" }'
}

rules_symbols() {
	symbols gateway 'gw_|gateway_schema'
	symbols runservice 'rs_|runservice_schema'
	symbols executor ex_
	symbols toolbox 'tb_|frame_|toolbox_|tmsg_'
	symbols cli cli_
	symbols rundef rundef_
	symbols evaluate eval_
}

# The tables of docs/operations.md are what the daemons print; links between documents lead somewhere.
rules_docs() {
	local name line file link
	for name in gateway runservice executor; do
		[ -x "$build/bin/millrace-$name" ] || continue
		"$build/bin/millrace-$name" --print-config-keys | while IFS= read -r line; do
			grep -qxF -- "$line" docs/operations.md || echo "docs/operations.md: millrace-$name has another line: $line"
		done
	done
	for file in README.md docs/*.md; do
		grep -oE '\]\([^)#:]+[)#]' "$file" | sed 's/^](//; s/[)#]$//' | while read -r link; do
			[ -e "$(dirname "$file")/$link" ] || echo "$file: the link $link leads nowhere"
		done
	done
}

rules() {
	rules_docs
	rules_layers
	rules_doors
	rules_text
	rules_logs
	rules_headers
	rules_symbols
}

# --- C ---

# autoVariables: an object that may die inside a callback gets the address of a flag on the stack, and loses it before the
# function returns; clang's analyzer checks that. Tests: cppcheck does not know that a failed assertion ends them.
run_cppcheck() {
	# The loops of jansson, whose headers it does not read.
	mkdir -p "$stamps"
	cat >"$stamps/cppcheck.h" <<-'EOC'
		#define json_array_foreach(a, i, v) for (i = 0; i < json_array_size(a) && (v = json_array_get(a, i)) != 0; i++)
		#define json_object_foreach(o, k, v) for (k = json_key(o); k && (v = json_object_get(o, k)) != 0; k = json_next(o, k))
	EOC
	files '*.c' | cppcheck --file-list=- --quiet -j "$jobs" --std=c11 --language=c --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=autoVariables --suppress='nullPointer:tests/*' --suppress='uninitvar:tests/*' \
		-D_GNU_SOURCE -I. --include="$stamps/cppcheck.h"
}

# tidy_one FILE: prints findings. A stamp holds what the file was when it passed.
tidy_one() {
	local f=$1 key out
	local stamp=$stamps/${1//\//_}
	key=$(cat "$stamps/settings" "$f" | sha256sum)
	if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then
		return 0
	fi
	if out=$(clang-tidy --quiet "$f" -- "${@:2}" 2>/dev/null); then
		echo "$key" >"$stamp"
	else
		printf '%s\n' "${out//"$PWD/"/}"
	fi
}

run_tidy() {
	mkdir -p "$stamps"
	find . -name .clang-tidy -o -name '*.h' -not -path './.local/*' | sort | xargs cat "$0" | sha256sum >"$stamps/settings"
	export -f tidy_one
	export stamps
	files '*.c' | grep -F -- "${F:-}" | xargs -P "$jobs" -I{} bash -c 'tidy_one "$@"' tidy {} "${cflags[@]}"
}

if [ -n "${F:-}" ]; then
	part clang-tidy run_tidy
	exit "$failed"
fi
part clang-format format
part shellcheck shell_scripts
part rules rules
part cppcheck run_cppcheck
part clang-tidy run_tidy
exit "$failed"
