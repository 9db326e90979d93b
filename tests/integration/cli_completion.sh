#!/usr/bin/env bash
# Completion: what the hidden command offers, and what bash makes of it with the script loaded.
. "$(dirname "$0")/../lib.sh"

# offers WORDS...: the candidates for the last word, in one line.
offers() {
	"$BIN/millrace" __complete "$@" | cut -f 1 | tr '\n' ' '
}

tap_like "commands" "$(offers "")" 'directrun run .*user .*version '
tap_is "their second words" "$(offers run l)" "list log "
tap_is "their third words" "$(offers user token "")" "create delete list "
tap_is "after options in front" "$(offers --json --token x conf)" "config "
tap_like "options of a command" "$(offers run list --)" '^--username .*--json '
tap_is "one option" "$(offers directrun start --fol)" "--follow "
tap_is "none for the value of an option" "$(offers run list --phase "")" ""
tap_is "none for words of the user's own" "$(offers run show "")" ""
tap_is "a choice of words" "$(offers completion "")" "bash zsh fish "
tap_is "none after --" "$(offers config check -- --)" ""
tap_is "none for what is no command" "$(offers frobnicate "")" ""
tap_is "nothing typed at all" "$("$BIN/millrace" __complete)" "$("$BIN/millrace" __complete "")"
tap_like "options are explained" "$("$BIN/millrace" __complete run list --js)" $'^--json\tprint JSON'

# Every option and every word that the help names is offered: the tables are the same.
while read -r name; do
	tap_like "help's $name is offered" "$(offers directrun start "$name")" "(^| )$name "
done < <("$BIN/millrace" directrun start --help | grep -oE '^  --[a-z-]+' | tr -d ' ' | sort -u)

# in_bash WORDS...: what bash puts into COMPREPLY.
in_bash() {
	PATH="$BIN:$PATH" bash -c '
		source <(millrace completion bash)
		COMP_WORDS=(millrace "$@") COMP_CWORD=$#
		_millrace
		printf "%s " "${COMPREPLY[@]}"' bash "$@"
}

tap_is "bash: commands" "$(in_bash run st)" "stop "
tap_like "bash: options" "$(in_bash run list --)" '^--username .*--json '
tap_is "bash: a file name is left to bash" "$(in_bash config check exam)" " "
for shell in zsh fish; do
	tap_like "$shell has a script" "$("$BIN/millrace" completion "$shell")" '__complete'
done
STATUS=0
"$BIN/millrace" completion tcsh >"$T/out" 2>"$T/err" || STATUS=$?
tap_like "another shell" "$STATUS:$(cat "$T/err")" '^1:.*"tcsh".*bash, zsh and fish'
tap_done
