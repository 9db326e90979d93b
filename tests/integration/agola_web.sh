#!/usr/bin/env bash
# agola-web, a client that nobody here wrote, in a browser against this gateway: login of a user with a password, organization,
# project groups, secrets, variables, settings, tokens, direct runs with live logs, approval, restart, stop, logout.
#
# MILLRACE_AGOLA_WEB: the directory of a built agola-web (its index.html is in it). Without it nothing is run.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/lib/browser.sh
. "$ROOT/tests/lib/browser.sh"

if [ -z "${MILLRACE_AGOLA_WEB:-}" ]; then
	tap_skip "agola-web in a browser" "not run: MILLRACE_AGOLA_WEB names no built agola-web"
	tap_done
fi
tap_ok "MILLRACE_AGOLA_WEB holds a built agola-web" test -s "$MILLRACE_AGOLA_WEB/index.html"
tap_is "what drives a browser is installed" "$(browser_missing)" ""
[ "$TAP_BAD" = 0 ] || tap_done

port=$((MILLRACE_PORT + 7))
browser_front "$MILLRACE_AGOLA_WEB" "$port"
browser_start "http://127.0.0.1:$port"

stamp=$(date +%s)
user=web-$stamp org=org-$stamp
button() {
	echo "//button[normalize-space()='$1']"
}
link() {
	echo "//a[normalize-space()='$1']"
}
# Fields of settings' lists: the part of the page between its headings.
listed() {
	echo "//div[h5='$1']/following-sibling::div[1]//span[contains(@class, 'name') and text()='$2']"
}

# --- login ---

secret=password-of-$stamp
api_admin POST /users "{\"username\": \"$user\"}" >"$T/made"
token=$(api_admin POST "/users/$user/passwordlink" '{}' | jq -r .token)
API_TOKEN="" api POST /auth/password "{\"token\": \"$token\", \"password\": \"$secret\"}" >"$T/made"

browser_open /
tap_ok "a stranger is asked to log in" browser_sees "$(button Login)"
browser_open "/user/$user/runs"
tap_ok "and led there from a page of a user" browser_at /login
browser_complaints >"$T/stranger"
tap_is "the password logs in" "$(browser_run 'return fetch("/api/v1alpha/auth/login", {method: "POST", body: JSON.stringify(
	{login_name: arguments[0], password: arguments[1]})}).then(r => r.status)' "$user" "$secret")" 201
browser_open "/user/$user"
tap_ok "the user's page" browser_sees "$(button "$user")"
tap_ok "without anything yet" browser_sees "//div[normalize-space()='No project groups']"
browser_shot user

# --- organization ---

browser_click "//nav//button[i[contains(@class, 'mdi-plus-box')]]"
browser_click "$(link 'New Organization')"
browser_type "//input[@placeholder='Organization name']" "$org"
browser_click "//label[normalize-space()='Private']/input"
browser_click "$(button 'Create Organization')"
tap_ok "an organization is created" browser_at "/org/$org"
tap_is "private, as was ticked" "$(api_admin GET "/orgs/$org" | jq -r .visibility)" private
browser_click "$(link Members)"
tap_ok "its creator owns it" browser_sees "//li[span[text()='$user'] and span[text()='owner']]"
browser_shot members
browser_open "/user/$user/userorgs"
tap_ok "it is among the user's" browser_click "$(link "${org}private")"

# --- project groups ---

# group_made NAME: in the group whose page is open.
group_made() {
	browser_click "//button[i[contains(@class, 'mdi-chevron-down')] and preceding-sibling::button]"
	browser_click "$(link 'New Project Group')"
	browser_click "$(button 'New Project Group')"
	browser_type "//input[@placeholder='Project Group Name']" "$1"
	browser_click "$(button 'Create ProjectGroup')"
}
tap_ok "a project group" group_made group
tap_ok "is opened" browser_at "/org/$org/projectgroups/group.proj"
tap_ok "a group in it" group_made inner
tap_ok "is opened too" browser_at "/org/$org/projectgroups/group/inner.proj"
browser_open "/org/$org/projectgroups/group.proj"
tap_ok "and listed" browser_sees "$(link inner)"
browser_shot group

# --- secrets ---

settings=/org/$org/projectgroups/group.proj/settings
group_path=/projectgroups/org%2F$org%2Fgroup
browser_open "$settings"
browser_click "$(link 'Add Secret')"
browser_type "//input[@placeholder='Secret name']" registry
browser_type "//input[@placeholder='Key']" password
browser_type "//textarea[@placeholder='Value']" "value-of-$stamp"
browser_click "$(button Save)"
tap_ok "a secret" browser_at "$settings"
tap_ok "is listed" browser_sees "$(listed 'Project group Secrets' registry)"
browser_click "//button[@data-test='updateSecretButton-0']"
browser_type "//input[@placeholder='Secret name']" harbor
browser_type "//input[@placeholder='Key']" token
browser_type "//textarea[@placeholder='Value']" "second-of-$stamp"
browser_click "$(button Save)"
tap_ok "changed and renamed" browser_sees "$(listed 'Project group Secrets' harbor)"
tap_is "without showing its value to anybody" "$(api_admin GET "$group_path/secrets" | grep -c "of-$stamp")" 0

# --- variables ---

browser_click "$(link 'Add Variable')"
browser_type "//input[@placeholder='Variable Name']" login
browser_type "//input[@placeholder='Secret name']" harbor
browser_type "//input[@placeholder='Secret Variable']" token
browser_click "//button[@data-test='addWhenConditionButton-0_branch_include']"
browser_type "//input[@placeholder='Match']" main
browser_shot variable
browser_click "$(button Save)"
tap_ok "a variable" browser_at "$settings"
tap_ok "finds its secret" browser_sees "//div[normalize-space()='using secret from org/$org/group']"
tap_is "and keeps its condition" "$(api_admin GET "$group_path/variables" | jq -c '.[0].values[0].when.branch.include')" \
	'[{"type":"simple","match":"main"}]'
browser_shot settings
browser_open "/org/$org/projectgroups/group/inner.proj/settings"
tap_ok "a group below inherits both" browser_sees \
	"//h5[.='All variables (local and inherited)']/following-sibling::div[1]//div[normalize-space()='from org/$org/group']"
browser_shot inherited

# --- project ---

# Only a git host brings one in; there is none here.
sql "insert into gateway.projects (id, name, parent_id, visibility, repository_id, repository_path, clone_url, html_url, default_branch,
		webhook_secret, skip_ssh_host_key_check, pass_vars_to_forked_pr, members_can_perform_run_actions)
	values (gen_random_uuid(), 'shop', '$(api_admin GET "$group_path" | jq -r .id)', 'public', '1', 'acme/shop', '', '', 'main', '',
		false, false, false)"
browser_open "/org/$org/projectgroups/group.proj"
tap_ok "a project" browser_click "$(link shop)"
project=/org/$org/projects/group/shop.proj
tap_ok "is opened" browser_at "$project"
for tab in runs branches tags pullrequests; do
	browser_open "$project/$tab"
	tap_ok "without runs yet: $tab" browser_sees "//div[.='No runs']"
done
browser_open "$project/settings"
tap_ok "it inherits the variable and its secret" browser_sees "//div[normalize-space()='using secret from org/$org/group']"
browser_click "$(link 'Add Secret')"
browser_type "//input[@placeholder='Secret name']" harbor
browser_type "//input[@placeholder='Key']" token
browser_type "//textarea[@placeholder='Value']" "third-of-$stamp"
browser_click "$(button Save)"
tap_ok "until it has its own" browser_sees "$(listed 'Project Secrets' harbor)"
browser_shot project
browser_type "//input[@placeholder='Project Name']" store
browser_click "//label[normalize-space()='Private']/input"
browser_click "//label[contains(., 'Members can perform run action')]/input"
browser_click "//label[contains(., 'triggered by PR from forked repo')]/input"
browser_click "$(button Update)"
tap_ok "it is renamed" browser_at "/org/$org/projects/group/store.proj/settings"
tap_is "with its other settings" "$(api_admin GET "/projects/org%2F$org%2Fgroup%2Fstore" |
	jq -r '"\(.visibility) \(.pass_vars_to_forked_pr) \(.members_can_perform_run_actions)"')" "private true true"
browser_type "//input[@placeholder='Project name to delete']" store
browser_click "$(button 'Delete Project')"
tap_ok "and deleted" browser_at "/org/$org/projectgroups/group.proj"

# --- settings ---

browser_open "/org/$org/projectgroups/group/inner.proj/settings"
browser_type "//input[@placeholder='Project Group Name']" deep
browser_click "//label[normalize-space()='Private']/input"
browser_click "$(button Update)"
tap_ok "a group is renamed" browser_at "/org/$org/projectgroups/group/deep.proj/settings"
tap_is "and private" "$(api_admin GET "$group_path%2Fdeep" | jq -r .visibility)" private
browser_type "//input[@placeholder='Project Group name to delete']" deep
browser_click "$(button 'Delete Project Group')"
tap_ok "and deleted" browser_at "/org/$org/projectgroups/group.proj"
browser_open "$settings"
browser_click "//span[contains(@class, 'mdi-delete') and @style]"
browser_click "//button[@id='modal-confirm']"
tap_ok "the variable is deleted" browser_gone "$(listed 'Project group Variables' login)"
browser_click "//button[@data-test='deleteSecretButton-0']"
browser_shot confirm
browser_click "//button[@id='modal-confirm']"
tap_ok "and the secret" browser_sees "//div[h5='Project group Secrets']/following-sibling::span[.='No secrets']"
browser_shot deleted

# --- tokens ---

browser_open "/user/$user/settings"
browser_type "//input[@placeholder='Token name']" browser
browser_click "$(button 'Create Token')"
tap_ok "a token" browser_sees "//p[contains(., 'User token created')]"
export MILLRACE_USER=$user MILLRACE_TOKEN
MILLRACE_TOKEN=$(browser_text "//p[contains(., 'User token created')]/following-sibling::p")
browser_shot token
tap_is "that the command line can use" "$(api GET /user | jq -r .username)" "$user"


# --- direct runs ---

directrun_start run <<'YAML'
runs:
  - name: web run
    tasks:
      - name: build
        runtime: {containers: [{image: busybox}]}
        steps:
          - run:
              name: live
              tty: false
              command: |
                printf '\033[31mred\033[0m first\n'
                while [ ! -e /more ]; do sleep 0.1; done
                echo 'then <b>this</b>'
                while [ ! -e /end ]; do sleep 0.1; done
      - name: deploy
        approval: true
        depends: [build]
        runtime: {containers: [{image: busybox}]}
        steps: [{run: {name: last, tty: false, command: echo deployed}}]
YAML
runs=/user/$user/runs
browser_open "$runs"
tap_ok "a direct run of the command line is listed" browser_click "//a[contains(., 'web run')]"
tap_ok "and opened" browser_at "$runs/1"
tap_ok "as running" browser_sees "$(button Stop)"
browser_shot run
tap_ok "its task" browser_click "//a[@title='build']"
browser_at "$runs/1/tasks/$(task_id 1 build)"
browser_click "//span[.='live']"
tap_ok "shows the log of a running step, with its colours" browser_sees "//div[contains(., 'red first')]/span[.='red' and @class='ansi-red-fg']"
tap_ok "as far as it goes" browser_lacks "//div[.='then <b>this</b>']"
browser_shot live
docker_cli exec "$(task_container 1 build)" touch /more
tap_ok "and further as it grows, as text" browser_sees "//div[.='then <b>this</b>']"
docker_cli exec "$(task_container 1 build)" touch /end
browser_shot grown
browser_open "$runs"
tap_ok "a task that waits for approval shows in the list" browser_sees "//li[contains(., 'Waiting Approval')]"
browser_open "$runs/1/tasks/$(task_id 1 deploy)"
tap_ok "it is approved" browser_click "$(button Approve)"
tap_ok "once" browser_gone "$(button Approve)"
browser_click "//span[.='last']"
tap_ok "and runs" browser_sees "//div[.='deployed']"
browser_open "$runs/1"
tap_ok "the run has succeeded" browser_sees "//span[.='Success']"
browser_shot success

browser_click "$(button Restart)"
browser_click "$(link 'From start')"
tap_ok "it is restarted" browser_at "$runs/2"
tap_ok "and runs again" browser_sees "$(button Stop)"
browser_open "$runs/1"
browser_click "$(button Restart)"
browser_click "$(link 'From start')"
tap_ok "once more" browser_at "$runs/3"
tap_ok "it waits for the one before it, and is cancelled" browser_click "$(button Cancel)"
tap_ok "as it says" browser_sees "//span[.='Cancelled']"
browser_shot cancelled
browser_open "$runs/2"
tap_ok "the other one is stopped" browser_click "$(button Stop)"
tap_ok "as it says" browser_sees "//span[.='Stopped']"
browser_click "$(button Restart)"
browser_click "$(link 'From failed tasks')"
tap_ok "what was stopped is tried again" browser_at "$runs/4"
browser_click "$(button Stop)"
tap_ok "and stopped again" browser_sees "//span[.='Stopped']"
browser_shot stopped

directrun_start broken <<'YAML'
runs: [{name: broken, tasks: [{name: task, runtime: {containers: [{image: busybox}]}, steps: [{rum: echo}]}]}]
YAML
browser_open "$runs/5"
tap_ok "what is wrong with a definition is told" browser_sees "//h2[.='Setup Errors']/following-sibling::div/pre[contains(., 'rum')]"
browser_shot broken

# --- the end of it ---

browser_open "/user/$user/settings"
browser_click "//li[span[.='browser']]/button[normalize-space()='Delete']"
tap_ok "a token is deleted" browser_sees "//div[.='No user tokens']"
tap_is "and good for nothing" "$(api_status GET /user)" 401
tap_is "the pages had nothing to complain of" "$(browser_complaints)" ""

# What such pages do when they come from another origin than the gateway's.
# shellcheck disable=SC2016 # JavaScript
elsewhere='const api = arguments[0] + "/api/v1alpha", init = {mode: "cors", credentials: "include"};
	return (async () => {
		const user = await fetch(api + "/user", init), name = (await user.json()).username;
		const made = await fetch(api + "/orgs", {...init, method: "POST", body: JSON.stringify({name: arguments[1], visibility: "public"}),
			headers: {"X-Csrf-Token": user.headers.get("X-Csrf-Token")}});
		return [name, made.status, (await fetch(api + "/user/orgs?limit=1", init)).headers.get("X-Agola-Cursor") !== ""].join(" ");
	})().catch(e => e.name)'
tap_is "a page of another origin reads nothing" "$(browser_run "$elsewhere" "$MILLRACE_URL" "other-$stamp")" '"TypeError"'
daemon_config gateway "allowed_origins: [\"$BROWSER_ORIGIN\"]"
tap_is "but of one that is allowed, everything" "$(browser_run "$elsewhere" "$MILLRACE_URL" "other-$stamp")" "\"$user 201 true\""

browser_click "//nav//button[contains(., '$user')]"
browser_click "//nav//a[contains(., 'Logout')]"
tap_ok "who logs out" browser_sees "$(button Login)"
browser_open "/user/$user/settings"
tap_ok "is out" browser_at /login
# 499: the page gave it up itself.
tap_is "nothing that the pages asked for was refused, but to say who is there while nobody is" \
	"$(grep -vE '^(2..|499) ' "$T/api" | sort -u)" "401 GET /api/v1alpha/user"
tap_done
