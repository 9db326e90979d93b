# shellcheck shell=bash
# Images from Debian packages alone (recipes in deploy/images/), for a machine that reaches no public registry.
#
# Each is built once per engine under millrace/NAME:HASH, HASH being that of its recipe, and pushed to the stack's
# image store under the names that definitions use. The package mirror is taken from the machine's own apt sources for
# the time of the build; no image keeps it.

IMAGES=$ROOT/deploy/images
IMAGE_LOG_NAME=images.log

# True when the registries that the definitions' images come from can be reached.
registries_public() {
	local url
	for url in https://registry-1.docker.io/v2/ https://gcr.io/v2/; do
		curl -sS -m 2 -o /dev/null "$url" 2>/dev/null || return 1
	done
}

# Lines for sources.list: the machine's own Debian sources of this release.
apt_sources() {
	local codename
	# shellcheck disable=SC1091
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT) $(ORIGIN) $(CODENAME)' 'Created-By: Packages' |
		awk -v c="$codename" '$3 == "main" && index($2, c) == 1 && ($4 == "Debian" || $4 ~ /^\$/) && !seen[$1 $2]++ {
			print "deb", $1, $2, $3 }'
}

# image_tag NAME FILE...: the content hash of the recipe is the tag.
image_tag() {
	local name=$1
	shift
	echo "millrace/$name:$({
		declare -f image_debian image_import busybox_tree image_busybox image_kaniko
		cat "$@"
	} | sha256sum | cut -c1-16)"
}

image_present() {
	docker_cli image inspect "$1" >/dev/null 2>&1
}

# image_import TAG TARFILE CONFIG...
image_import() {
	local tag=$1 tar=$2 line
	local -a args=()
	shift 2
	for line in "$@"; do
		args+=(-c "$line")
	done
	docker_cli import "${args[@]}" "$tar" "$tag"
}

# image_debian NAME WORKDIR: mmdebstrap with the packages of the recipe.
image_debian() {
	local name=$1 work=$2 tag pattern
	local -a args=()
	local -n packages=packages_$name config=config_$name
	tag=$(image_tag "$name" "$IMAGES/$name.sh")
	if image_present "$tag"; then
		return 0
	fi
	[ -z "$packages" ] || args+=(--include="$packages")
	if declare -p "exclude_$name" >/dev/null 2>&1; then
		local -n exclude=exclude_$name
		set -f
		# shellcheck disable=SC2068,SC2128
		for pattern in $exclude; do
			args+=(--dpkgopt="path-exclude=$pattern")
		done
		set +f
	fi
	if declare -F "customize_$name" >/dev/null; then
		# The hook runs in a shell of its own.
		# shellcheck disable=SC2016
		printf '#!/bin/bash\nset -eu\n%s\ncustomize_%s "$1"\n' "$(declare -f "customize_$name")" "$name" \
			>"$work/$name.hook"
		chmod +x "$work/$name.hook"
		args+=(--customize-hook="$work/$name.hook")
	fi
	# shellcheck disable=SC2016 # mmdebstrap expands $1
	mmdebstrap --quiet --variant=apt --components=main "${args[@]}" \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-include=/usr/share/locale/locale.alias' \
		--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
		--customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/usr/share/doc/*/changelog*' \
		--customize-hook='rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*; : >"$1"/etc/resolv.conf' \
		bookworm "$work/$name.tar" - <"$work/sources.list"
	image_import "$tag" "$work/$name.tar" "${config[@]}"
	rm -f "$work/$name.tar"
}

# busybox_tree DIR: busybox and a link for each of its applets.
busybox_tree() {
	local applet
	mkdir -p "$1"
	cp /bin/busybox "$1/busybox"
	for applet in $(/bin/busybox --list); do
		[ "$applet" = busybox ] || ln -sf busybox "$1/$applet"
	done
}

image_busybox() {
	local work=$1 tag
	tag=$(image_tag busybox /bin/busybox)
	if image_present "$tag"; then
		return 0
	fi
	mkdir -p "$work/bb/etc" "$work/bb/tmp" "$work/bb/root" "$work/bb/proc" "$work/bb/sys" "$work/bb/dev"
	busybox_tree "$work/bb/bin"
	chmod 1777 "$work/bb/tmp"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$work/bb/etc/passwd"
	echo 'root:x:0:' >"$work/bb/etc/group"
	tar -C "$work/bb" --owner=0 --group=0 -cf "$work/bb.tar" .
	image_import "$tag" "$work/bb.tar" 'CMD ["sh"]' 'ENV PATH=/bin'
}

# kaniko's paths, environment and flags (deploy/images/kaniko-standin/): compiled in the compiler image.
image_kaniko() {
	local work=$1 tag compiler container
	tag=$(image_tag kaniko-standin "$IMAGES/golang.sh" "$IMAGES"/kaniko-standin/* /bin/busybox)
	if image_present "$tag"; then
		return 0
	fi
	compiler=$(image_tag golang "$IMAGES/golang.sh")
	container=$(docker_cli create --network none -w /src -e HOME=/root -e GOFLAGS=-trimpath "$compiler" \
		go build -ldflags '-s -w' -o /executor .)
	docker_cli cp "$IMAGES/kaniko-standin/." "$container:/src"
	if ! docker_cli start -a "$container"; then
		docker_cli rm -f "$container"
		return 1
	fi
	mkdir -p "$work/kaniko/kaniko/.docker" "$work/kaniko/kaniko/ssl/certs" "$work/kaniko/workspace" \
		"$work/kaniko/root" "$work/kaniko/tmp"
	chmod 1777 "$work/kaniko/tmp"
	docker_cli cp "$container:/executor" "$work/kaniko/kaniko/executor"
	docker_cli cp -L "$container:/etc/ssl/certs/ca-certificates.crt" "$work/kaniko/kaniko/ssl/certs/"
	docker_cli rm -f "$container"
	busybox_tree "$work/kaniko/busybox"
	tar -C "$work/kaniko" --owner=0 --group=0 -cf "$work/kaniko.tar" .
	image_import "$tag" "$work/kaniko.tar" 'ENTRYPOINT ["/kaniko/executor"]' \
		'ENV PATH=/usr/local/bin:/kaniko:/busybox' 'ENV HOME=/root' 'ENV USER=root' \
		'ENV DOCKER_CONFIG=/kaniko/.docker/' 'ENV SSL_CERT_DIR=/kaniko/ssl/certs' \
		'WORKDIR /workspace' 'VOLUME /busybox'
}

# Images whose recipe changed leave their old builds behind.
images_prune() {
	local tag keep=" $* "
	for tag in $(docker_cli image ls --format '{{.Repository}}:{{.Tag}}' --filter 'reference=millrace/*'); do
		case $keep in
		*" $tag "*) ;;
		*) docker_cli image rm "$tag" || true ;;
		esac
	done
}

images_build_all() {
	local work=$1 name
	for name in base golang builder; do
		# shellcheck disable=SC1090
		. "$IMAGES/$name.sh"
		image_debian "$name" "$work"
	done
	image_busybox "$work"
	image_kaniko "$work"
}

images_tags() {
	image_tag base "$IMAGES/base.sh"
	image_tag golang "$IMAGES/golang.sh"
	image_tag builder "$IMAGES/builder.sh"
	image_tag busybox /bin/busybox
	image_tag kaniko-standin "$IMAGES/golang.sh" "$IMAGES"/kaniko-standin/* /bin/busybox
}

# What docker-compose.yml builds on.
images_build_compose() {
	local work=$1 name
	for name in server postgres; do
		# shellcheck disable=SC1090
		. "$IMAGES/$name.sh"
		image_debian "$name" "$work"
	done
}

images_tags_compose() {
	image_tag server "$IMAGES/server.sh"
	image_tag postgres "$IMAGES/postgres.sh"
}

images_missing() {
	local tag
	for tag in "$@"; do
		image_present "$tag" || return 0
	done
	return 1
}

# images_build: what definitions use. images_build compose: what docker-compose.yml builds on. Into the engine, once per
# engine, whatever number of stacks come up at the same time.
images_build() {
	local work log=$LOGS/$IMAGE_LOG_NAME tags=images_tags build=images_build_all
	if [ "${1:-}" = compose ]; then
		tags=images_tags_compose build=images_build_compose
	fi
	NOTE="already built"
	# shellcheck disable=SC2046
	images_missing $($tags) || return 0
	mkdir -p "$ENGINE_RUN"
	exec 9>"$ENGINE_RUN/images.lock"
	flock -w 900 9
	work=$(mktemp -d /var/tmp/millrace-images.XXXXXX)
	chmod 755 "$work"
	apt_sources >"$work/sources.list"
	if [ ! -s "$work/sources.list" ]; then
		rm -rf "$work"
		die "the machine's apt has no Debian source" "" "look at /etc/apt/sources.list and /etc/apt/sources.list.d"
	fi
	if ! (set -x && $build "$work") >"$log" 2>&1; then
		rm -rf "$work"
		die "an image could not be built" "$log" "the Debian mirror does not answer, or the disk is full"
	fi
	rm -rf "$work"
	# shellcheck disable=SC2046
	images_prune $(images_tags) $(images_tags_compose) >>"$log" 2>&1
	exec 9>&-
	# shellcheck disable=SC2034
	NOTE="from Debian packages"
}

# image_publish TAG NAME...: pushed under each of the names.
image_publish() {
	local tag=$1 name
	shift
	for name in "$@"; do
		docker_cli tag "$tag" "127.0.0.1:$(port_of images)/$name"
		docker_cli push -q "127.0.0.1:$(port_of images)/$name"
		docker_cli rmi "127.0.0.1:$(port_of images)/$name"
	done
}

# kaniko finds its mirror by the environment. Where the mirror is differs from stack to stack, so it is added to the
# image that this stack's store hands out, not to the one that the engine keeps for all.
image_publish_kaniko() {
	local name
	name=127.0.0.1:$(port_of images)/kaniko-standin
	printf 'FROM %s\nENV KANIKO_REGISTRY_MIRROR=%s:%s\n' \
		"$(image_tag kaniko-standin "$IMAGES/golang.sh" "$IMAGES"/kaniko-standin/* /bin/busybox)" \
		"$GATEWAY_ADDRESS" "$(port_of images)" | docker_cli build -q -t "$name:debug" -
	docker_cli tag "$name:debug" "$name:latest"
	docker_cli push -q "$name:debug"
	docker_cli push -q "$name:latest"
	docker_cli rmi "$name:debug" "$name:latest"
}

images_publish_all() {
	image_publish "$(image_tag base "$IMAGES/base.sh")" library/debian:stretch library/debian:bookworm \
		library/debian:bookworm-slim library/debian:latest
	image_publish "$(image_tag busybox /bin/busybox)" library/busybox:latest library/busybox:stable
	image_publish "$(image_tag golang "$IMAGES/golang.sh")" library/golang:1.12-stretch library/golang:latest
	image_publish "$(image_tag builder "$IMAGES/builder.sh")" image-builder:latest
	image_publish_kaniko
}

# images_push: what the store should hold is in a stamp, so that nothing is pushed twice. The store that tasks see is
# read-only; a second server on the loopback address alone writes into the same directory before.
images_push() {
	local want log=$LOGS/$IMAGE_LOG_NAME stamp=$MILLRACE_HOME/registry/images.stamp
	want=$(images_tags && echo "$GATEWAY_ADDRESS $MILLRACE_PORT")
	if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then
		NOTE="already there"
		return 0
	fi
	registry_end images
	registry_start images-writable
	if ! (set -x && images_publish_all) >>"$log" 2>&1; then
		registry_end images-writable
		die "an image could not be pushed to the image store" "$log" "the disk is full, or the engine was restarted"
	fi
	registry_end images-writable
	printf '%s\n' "$want" >"$stamp"
	# shellcheck disable=SC2034
	NOTE="127.0.0.1:$(port_of images)"
}

# The rewrite table of the executor: FROM TO, one pair per line.
images_rewrites() {
	local store name
	store=127.0.0.1:$(port_of images)
	echo "gcr.io/kaniko-project/executor $store/kaniko-standin"
	for name in golang debian busybox; do
		echo "docker.io/library/$name $store/library/$name"
	done
}
