#!/usr/bin/env bash
# What the command line says of runs that wait, and logging in: with the real daemons.
. "$(dirname "$0")/../lib.sh"

directrun_start waits <<'END'
runs:
  - name: waits
    tasks:
      - name: far
        runtime: {arch: arm64, containers: [{image: busybox}]}
        steps: [{run: "true"}]
      - name: behind
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "true"}]
        depends: [far]
END
first=$RUN
tap_ok "a run that nobody can execute" run_is "$first" running
reason() {
	millrace run explain "$1" | grep -q "$2"
}
tap_ok "the executors that were considered are told" wait_for 20 reason "$first" '^far: no connected executor has the architecture arm64: [^ ]* has the architecture amd64, not arm64$'
tap_ok "and the task that is waited for" reason "$first" '^behind: it waits for task "far" to finish$'
tap_is "as data, too" "$(millrace run explain "$first" --json | jq -r '.tasks[] | select(.name == "far") | .executors | length > 0')" true
directrun_start waits
tap_ok "the next one of the branch waits" run_is "$RUN" queued
tap_ok "for the run that holds the group" reason "$RUN" "^far: its run waits for run $first of the same group to finish\$"
tap_is "its tasks are listed" "$(millrace run tasks "$RUN" | awk '{ print $1 }' | tr '\n' ' ')" "TASK far behind "
millrace run cancel "$RUN" 2>/dev/null
tap_like "a run that is over waits for nothing" "$(millrace run explain "$RUN" 2>&1)" "no task of run $RUN waits"

# Logging in, as somebody who has nothing but a password.
export MILLRACE_CONFIG=$T/profiles.json
name=login$RANDOM
api_admin() {
	"$BIN/millrace" --gateway-url "$MILLRACE_URL" --token "$MILLRACE_ADMIN_TOKEN" "$@"
}
link=$(api_admin user create -n "$name" --link 2>/dev/null)
at_end api_admin user delete -n "$name"
password=$(head -c 12 /dev/urandom | base64)
tap_is "a password is set" "$(curl -s -o "$T/answer" -w '%{http_code}' -d "{\"token\":\"${link#*#}\",\"password\":\"$password\"}" "$MILLRACE_URL/api/v1alpha/auth/password")" 204
alone() {
	env -u MILLRACE_TOKEN -u MILLRACE_URL "$BIN/millrace" "$@"
}
alone login --gateway-url "$MILLRACE_URL" --username "$name" <<<"$password" 2>"$T/login"
tap_like "login" "$(cat "$T/login")" "logged in to .* as $name"
tap_is "its profile is private" "$(stat -c %a "$MILLRACE_CONFIG")" 600
tap_ok "and does not hold the password" test -z "$(grep -F "$password" "$MILLRACE_CONFIG")"
tap_is "from then on no option is needed" "$(alone user show --json | jq -r .username)" "$name"
token=$(jq -r '.profiles.default.token' "$MILLRACE_CONFIG")
alone logout 2>/dev/null
tap_like "after logout the token is worth nothing" "$(alone --gateway-url "$MILLRACE_URL" --token "$token" user show 2>&1 || true)" "not logged in"
tap_done
