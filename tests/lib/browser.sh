# shellcheck shell=bash
# A browser for integration scripts: Chromium without a window, driven through chromedriver's WebDriver protocol. A script reads
# this after lib.sh, calls browser_start, and then opens, sees, clicks and types like a person: each waits, at most
# BROWSER_SECONDS, until what it needs is on the page. Elements are named by XPath.
#
# BROWSER_SHOTS: a directory that gets a picture of each page that browser_shot is called on.
BROWSER_SECONDS=${BROWSER_SECONDS:-20}

# browser_missing: the first program that is not installed; nothing when all are there.
browser_missing() {
	local program
	for program in chromedriver chromium nginx; do
		if ! command -v "$program" >/dev/null; then
			echo "$program"
			return 0
		fi
	done
}

# browser_front DIR PORT: serves a web app's files and the gateway on one port of this machine, the way docs/operations.md shows. What
# the gateway answered is in $T/api.
browser_front() {
	sed -e "s|@T@|$T|; s|@PORT@|$2|; s|@DIR@|$(realpath "$1")|; s|@GATEWAY@|$MILLRACE_URL|" "$ROOT/tests/lib/web_front.conf" >"$T/front.conf"
	nginx -c "$T/front.conf" >"$T/nginx.out" 2>&1 &
	at_end kill "$!"
	wait_for "$BROWSER_SECONDS" curl -fsS -m 2 "http://127.0.0.1:$2/" || cat "$T/nginx.out"
}

# browser_start ORIGIN: a session with nothing stored; paths are opened below ORIGIN.
browser_start() {
	BROWSER_ORIGIN=$1
	chromedriver --port=0 >"$T/chromedriver.log" 2>&1 &
	at_end kill "$!"
	wait_for "$BROWSER_SECONDS" grep -q 'started successfully on port' "$T/chromedriver.log" || return 1
	BROWSER_URL=http://127.0.0.1:$(sed -n 's/.*started successfully on port \([0-9]*\).*/\1/p' "$T/chromedriver.log")
	browser_ask POST /session '{"capabilities": {"alwaysMatch": {
		"goog:loggingPrefs": {"browser": "ALL"},
		"goog:chromeOptions": {"args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
			"--disable-background-networking", "--no-first-run", "--window-size=1280,1600"]}}}}' >"$T/browser.session"
	BROWSER_URL+=/session/$(jq -r .sessionId "$T/browser.session")
	at_end browser_ask DELETE ""
}

# browser_ask METHOD PATH [BODY]: prints the answer's value; fails when it is an error.
browser_ask() {
	local -a body=()
	[ $# -lt 3 ] || body=(-H 'Content-Type: application/json' --data-binary "$3")
	curl -sS -m 60 -X "$1" "${body[@]}" "$BROWSER_URL$2" >"$T/browser.answer" || return 1
	jq -c .value "$T/browser.answer"
	jq -e '(.value | type) != "object" or (.value | has("error") | not)' "$T/browser.answer" >/dev/null
}

# browser_open PATH
browser_open() {
	browser_ask POST /url "$(jq -cn --arg url "$BROWSER_ORIGIN$1" '{$url}')" >/dev/null
}
# browser_path: where the page is, without the origin.
browser_path() {
	local url
	url=$(browser_ask GET /url | jq -r .)
	echo "${url#"$BROWSER_ORIGIN"}"
}
browser_is_at() {
	[[ $(browser_path) =~ ^$1$ ]]
}
# browser_at REGEX: until the page's path is that, all of it.
browser_at() {
	wait_for "$BROWSER_SECONDS" browser_is_at "$1" || browser_missed "no page $1"
}

browser_find() {
	browser_ask POST /element "$(jq -cn --arg value "$1" '{using: "xpath", $value}')" | jq -er '.[]' 2>/dev/null
}
# What a step waited for in vain is said, with what the page shows instead.
browser_missed() {
	echo "# not on $(browser_path): $1"
	browser_shot missed
	browser_text //body | sed 's/^/# | /'
	return 1
}
# browser_sees XPATH: until there is such an element. browser_gone XPATH: until there is none.
browser_sees() {
	wait_for "$BROWSER_SECONDS" browser_find "$1" || browser_missed "$1"
}
browser_lacks() {
	! browser_ask POST /element "$(jq -cn --arg value "$1" '{using: "xpath", $value}')" &&
		jq -e '.value.error == "no such element"' "$T/browser.answer"
}
browser_gone() {
	wait_for "$BROWSER_SECONDS" browser_lacks "$1" || browser_missed "no end of $1"
}
# On a page that is drawn anew an element may be gone, or another one above it, before it is clicked on: it is looked for again.
browser_click_once() {
	local id
	id=$(browser_find "$1") && browser_ask POST "/element/$id/click" '{}'
}
browser_click() {
	wait_for "$BROWSER_SECONDS" browser_click_once "$1" || browser_missed "$1"
}
# browser_type XPATH TEXT: in place of what is in the field.
browser_type() {
	local id
	browser_sees "$1" || return 1
	id=$(browser_find "$1")
	browser_ask POST "/element/$id/clear" '{}' >/dev/null
	browser_ask POST "/element/$id/value" "$(jq -cn --arg text "$2" '{$text}')" >/dev/null
}
# browser_text XPATH: the element's visible text; it must be there.
browser_text() {
	local id
	id=$(browser_find "$1") && browser_ask GET "/element/$id/text" | jq -r .
}
# browser_run SCRIPT [ARGUMENT...]: runs a script in the page and prints what its promise gives, as JSON.
browser_run() {
	local script=$1
	shift
	browser_ask POST /execute/sync "$(jq -cn --arg script "$script" '{$script, args: $ARGS.positional}' --args "$@")"
}
# browser_complaints: what the pages have written to the console as errors since the last call, one line each.
browser_complaints() {
	browser_ask POST /se/log '{"type": "browser"}' | jq -r '.[] | select(.level == "SEVERE") | .message'
}
# browser_shot NAME
browser_shot() {
	[ -n "${BROWSER_SHOTS:-}" ] || return 0
	browser_ask GET /screenshot | jq -r . | base64 -d >"$BROWSER_SHOTS/$1.png"
}
