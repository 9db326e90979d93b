#!/usr/bin/env bash
# packages.sh GROUP...: installs the Debian packages of the groups (build, run, compose, test, lint) that are missing.
# Does nothing, quickly, when all are there. Uses sudo when not root.
set -euo pipefail

group() {
	case $1 in
	build)
		echo gcc g++ libc6-dev make pkg-config git ca-certificates protobuf-compiler protobuf-c-compiler libprotobuf-c-dev \
			libnng-dev libpq-dev libcurl4-openssl-dev libyaml-dev libevent-dev libjansson-dev libsodium-dev \
			libzstd-dev libssl-dev zlib1g-dev libre2-dev libjsonnet-dev musl-tools
		;;
	run)
		echo bash curl jq git iproute2 iptables procps util-linux docker.io runc containerd mmdebstrap \
			busybox-static docker-registry apache2-utils postgresql-15 ca-certificates
		;;
	compose)
		echo docker-compose docker.io openssl curl mmdebstrap ca-certificates
		;;
	test)
		echo libcmocka-dev clang-format python3-minimal strace docker-compose openssl curl ceph-mon ceph-osd radosgw ceph-common
		;;
	lint)
		echo libcmocka-dev clang clang-format clang-tidy cppcheck shellcheck
		;;
	*)
		echo "packages.sh: no group is named $1 (build, run, compose, test, lint)" >&2
		exit 2
		;;
	esac
}

missing() {
	local have
	have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
	comm -23 <(printf '%s\n' "$@" | sort -u) <(printf '%s\n' "$have" | sort -u)
}

# Debian starts what it installs: a registry on port 5000, a database cluster. The stack runs its own, so they stay off.
POLICY=/usr/sbin/policy-rc.d
hold_services() {
	if [ ! -e "$POLICY" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$POLICY"
		chmod 755 "$POLICY"
		trap 'rm -f "$POLICY"' EXIT
	fi
}

install_all() {
	local log=/var/log/millrace-packages.log
	hold_services
	export DEBIAN_FRONTEND=noninteractive
	# When the lists are missing or old: once more with new ones.
	if ! apt-get install -y --no-install-recommends "$@" >"$log" 2>&1 &&
		! { apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
		tail -n 15 "$log" | sed 's/^/    | /' >&2
		echo "packages.sh: apt-get could not install: $*" >&2
		echo "  log file:     $log" >&2
		echo "  likely cause: no Debian mirror answers, or another apt-get holds the lock" >&2
		exit 1
	fi
	if [ -d /run/systemd/system ]; then
		case " $* " in
		*" docker-registry "*) systemctl disable docker-registry >/dev/null 2>&1 || true ;;
		esac
	fi
}

if [ "${1:-}" = --install ]; then
	shift
	install_all "$@"
	exit 0
fi
wanted=()
for name in "$@"; do
	read -ra packages <<<"$(group "$name")"
	wanted+=("${packages[@]}")
done
if [ "${#wanted[@]}" -eq 0 ]; then
	echo "usage: packages.sh GROUP... (build, run, test, lint)" >&2
	exit 2
fi
mapfile -t todo < <(missing "${wanted[@]}")
if [ "${#todo[@]}" -eq 0 ]; then
	exit 0
fi
echo "installing ${#todo[@]} Debian packages: ${todo[*]}"
if [ "$(id -u)" -eq 0 ]; then
	install_all "${todo[@]}"
elif command -v sudo >/dev/null; then
	sudo bash "${BASH_SOURCE[0]}" --install "${todo[@]}"
else
	echo "packages.sh: neither root nor sudo is there to install: ${todo[*]}" >&2
	exit 1
fi
