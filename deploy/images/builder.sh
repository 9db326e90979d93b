# shellcheck shell=bash disable=SC2034 # read by deploy/stack/images.sh
# Builds images in a plain container, without any privilege: skopeo, umoci and chroot.
packages_builder=skopeo,umoci,ca-certificates,git
config_builder=('CMD ["bash"]' 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
customize_builder() {
	mkdir -p "$1/etc/containers"
	echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$1/etc/containers/policy.json"
}
