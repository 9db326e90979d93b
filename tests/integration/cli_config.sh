#!/usr/bin/env bash
# The command line without a server: exit statuses, where messages go, config check from a pipe.
. "$(dirname "$0")/../lib.sh"

# cli WORDS...: OUT, ERR and STATUS of the program; standard input is the caller's.
cli() {
	STATUS=0
	"$BIN/millrace" "$@" >"$T/out" 2>"$T/err" || STATUS=$?
	OUT=$(cat "$T/out")
	ERR=$(cat "$T/err")
}

# --- config check ---

good='runs: [{name: r, tasks: [{name: t, runtime: {containers: [{image: i}]}}]}]'
cli config check "$ROOT/examples/kaniko/.agola/config.yml"
tap_is "the example's definitions are valid" "$STATUS" 0
tap_is "without a warning" "$ERR" ""
cd "$ROOT/examples/jsonnet" || exit 1
cli config check --strict
tap_is "the example in Jsonnet is valid" "$STATUS:$OUT$ERR" "0:.agola/config.jsonnet: valid"
cli config show --json
tap_is "for a branch" "$STATUS:$(jq -r '.runs[] | .name, .tasks[].name' <<<"$OUT" | paste -sd,)" \
	"0:test master,test on busybox:1.35,test on busybox:latest"
cli config show --json -c pull_request_id=3
tap_is "for a pull request" "$STATUS:$(jq -r '.runs[].name' <<<"$OUT")" "0:test pull request 3"
cli config show --json --context tag=v1
tap_is "a tag gets a task more, behind the others" \
	"$STATUS:$(jq -r '.runs[].tasks[] | select(.level == 1) | .name, .depends[].task' <<<"$OUT" | paste -sd,)" \
	"0:release,test on busybox:1.35,test on busybox:latest"
cli config show -c tag=v1
tap_like "as a tree" "$STATUS:$OUT" $'release  busybox:latest  1 step  after test on busybox:1\\.35, test on busybox:latest$'
cli config check --format jsonnet - <<<"import '/etc/hostname'"
tap_like "no file of the machine is read" "$STATUS:$ERR" '^1:\.agola/<stdin>:1:1: Jsonnet: .*it is absolute'
cd "$T" || exit 1
cli config check - <<<"$good"
tap_is "a definition from a pipe" "$STATUS:$OUT" "0:<stdin>: valid"
cli config check - <<<$'runs:\n  - name: r\n    tasks:\n      - name: t\n        runtime: {containers: [{image: i}]}\n        steps:\n          - rum: x'
tap_is "a broken one fails" "$STATUS:$OUT" "1:"
tap_like "with file:line:col: message" "$ERR" '^<stdin>:7:13: .*unknown step type "rum".*\(did you mean run\?\) \[runs\[0\]\.tasks\[0\]\.steps\[0\]\.rum\]$'
cli config check --json - <<<'runs: 5'
tap_is "as JSON on standard output" "$STATUS:$(jq -r '"\(.valid) \(.errors) \(.diagnostics[0].line):\(.diagnostics[0].column)"' <<<"$OUT")" \
	"1:false 1 1:7"
cli --json config check - <<<"$good"
tap_is "the option may stand in front" "$STATUS:$(jq .valid <<<"$OUT")" "0:true"
cli config check - <<<"colour: red
$good"
tap_like "a warning is one" "$STATUS:$ERR" '^0:<stdin>:1:1: warning: unknown key "colour"'
cli config check --strict - <<<"colour: red
$good"
tap_is "but with --strict it fails" "$STATUS" 1
cli config schema
tap_is "the schema for editors is JSON" "$STATUS:$(jq -r '.definitions.task.properties.retries.type' <<<"$OUT")" "0:integer"
cli config check "$T/none.yml"
tap_like "a file that is not there" "$STATUS:$ERR" '^1:millrace: open .*none\.yml: '

# --- words and options ---

for words in "" "frobnicate" "config" "config chek" "config check --nope" "config check a b" "config check --strict=maybe" \
	"run show" "run show x" "run show 1 --gateway-url"; do
	read -ra list <<<"$words"
	cli "${list[@]}"
	tap_is "millrace $words: fails" "$STATUS" 1
done
for words in "--help" "help" "config --help" "config check --help" "run list -h" "--version"; do
	read -ra list <<<"$words"
	cli "${list[@]}"
	tap_ok "millrace $words: succeeds and says something" test "$STATUS:$ERR" = 0: -a -n "$OUT"
done
cli frobnicate
tap_like "an unknown command is named" "$ERR" 'unknown command "frobnicate".*--help'
cli config check --nope
tap_like "so is an unknown option" "$ERR" 'unknown option --nope.*--help'
for words in --help "config check --help" "config check $ROOT/examples/kaniko/.agola/config.yml"; do
	read -ra list <<<"$words"
	"$BIN/millrace" "${list[@]}" >/dev/full 2>/dev/null && STATUS=0 || STATUS=$?
	tap_is "millrace ${words%% /*}: output that cannot be written is a failure" "$STATUS" 1
done
cli run list --gateway-url http://127.0.0.1:1
tap_like "a gateway that is not there" "$STATUS:$ERR" '^1:millrace: .*127\.0\.0\.1'
tap_done
