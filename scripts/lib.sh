# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What the scripts share: installing Debian packages, and fetching them without installing.

# die TEXT: to stderr, and the end.
die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# need_packages PACKAGE...: installs what dpkg does not know as installed; asks nothing, adds nothing recommended.
need_packages() {
	local package missing=()

	for package in "$@"; do
		is_installed "$package" || missing+=("$package")
	done
	if [ ${#missing[@]} = 0 ]; then
		return 0
	fi
	if [ "$(id -u)" != 0 ]; then
		die "missing packages, and only root can install them: ${missing[*]}"
	fi
	echo "installing ${missing[*]}" >&2
	# Once for all calls of a script: the lists do not get older while it runs.
	if [ -z "${APT_UPDATED:-}" ]; then
		DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
		APT_UPDATED=yes
	fi
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >&2
}

# debian_mirror: the address this machine itself gets bookworm's main from, whichever format its sources are in.
# It is for apt only, and must not get into any output or file that is kept.
debian_mirror() {
	local file

	for file in /etc/apt/sources.list.d/*.sources; do
		[ -r "$file" ] || continue
		# One paragraph is one source; it counts if it is enabled and has the suite bookworm itself.
		awk '
			function judge(  n, i, parts, good) {
				n = split(suites, parts, " ")
				for (i = 1; i <= n; i++)
					if (parts[i] == "bookworm")
						good = 1
				if (good && components ~ /(^| )main( |$)/ && types ~ /(^| )deb( |$)/ && enabled !~ /no/) {
					split(uris, parts, " ")
					print parts[1]
				}
				suites = components = types = uris = enabled = ""
			}
			/^#/ { next }
			/^[ \t]*$/ { judge(); next }
			{ value = $0; sub(/^[^:]*:[ \t]*/, "", value) }
			tolower($0) ~ /^types:/ { types = value }
			tolower($0) ~ /^uris:/ { uris = value }
			tolower($0) ~ /^suites:/ { suites = value }
			tolower($0) ~ /^components:/ { components = value }
			tolower($0) ~ /^enabled:/ { enabled = tolower(value) }
			END { judge() }
		' "$file"
	done | grep -m 1 . && return
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -r "$file" ] || continue
		sed -nE 's/^[ \t]*deb[ \t]+(\[[^]]*\][ \t]+)?([^ \t]+)[ \t]+bookworm[ \t]+(.*[ \t])?main([ \t].*)?$/\2/p' "$file"
	done | grep -m 1 . && return
	die "no source of Debian's bookworm main among this machine's apt sources"
}

# fetch_packages DIR SUITE PACKAGE...: downloads the packages' files of that suite into DIR. @PACKAGE stands for the first that
# PACKAGE depends on. FETCH_ARCHITECTURE is the Debian architecture, here and below; this machine's where it is not set.
fetch_packages() {
	local dir=$1 suite=$2
	shift 2
	with_apt_lists "$dir" "$suite" download_named "$@"
}

# fetch_closure DIR "SUITE..." PACKAGE...: the same with all that the packages depend on, as if nothing were installed; the last
# suite is preferred.
fetch_closure() {
	local dir=$1 suites=$2
	shift 2
	with_apt_lists "$dir" "$suites" download_closure "$suites" "$@"
}

# In with_apt_lists: apt-get and apt-cache with "${options[@]}", in DIR.
download_named() {
	local package names=()

	for package in "$@"; do
		case $package in
		@*)
			package=$(apt-cache "${options[@]}" depends "${package#@}" | awk '/Depends:/ && !n++ { print $2 }')
			names+=("$package")
			;;
		*) names+=("$package") ;;
		esac
	done
	apt-get "${options[@]}" download "${names[@]}"
}

download_closure() {
	local suites=$1
	shift
	apt-get "${options[@]}" --target-release "${suites##* }" --no-install-recommends --download-only -y install "$@" &&
		mv apt/cache/archives/*.deb .
}

# with_apt_lists DIR "SUITE..." COMMAND...: the command in DIR, with apt lists of its own, so the machine's apt never gets to
# know of the suites, nor does it count what is installed here.
with_apt_lists() {
	local dir=$1 suites=$2 suite arch mirror options key=/usr/share/keyrings/debian-archive-keyring.gpg
	shift 2

	arch=${FETCH_ARCHITECTURE:-$(dpkg --print-architecture)}
	dir=$(realpath "$dir")
	mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
	[ -r "$key" ] || die "$key is missing (package debian-archive-keyring)"
	mirror=$(debian_mirror)
	(
		umask 077
		for suite in $suites; do
			echo "deb [signed-by=$key] $mirror $suite main"
		done >"$dir/apt/sources.list"
	)
	options=(-qq -o "Dir::Etc::sourcelist=$dir/apt/sources.list" -o Dir::Etc::sourceparts=-
		-o "Dir::State::lists=$dir/apt/lists" -o Dir::State::status=/dev/null
		-o "Dir::Cache=$dir/apt/cache" -o APT::Sandbox::User=root
		-o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
		-o APT::Get::AllowUnauthenticated=false)
	# What apt says is shown only if it failed, and then without the mirror's address.
	if (apt-get "${options[@]}" update && cd "$dir" && "$@") >"$dir/apt/log" 2>&1; then
		rm -rf "$dir/apt"
	else
		sed -E "s,[a-z+]+://[^ ']*,(mirror),g" "$dir/apt/log" >&2
		rm -rf "$dir/apt"
		die "could not fetch from $suites: $*"
	fi
}

# kernel_modules ROOT RELEASE DIR MODULE...: copies modules and what they depend on into DIR, and writes DIR/order, the
# order in which they must be loaded; what is built in needs none.
kernel_modules() {
	local root=$1 release=$2 dir=$3 module file
	shift 3

	mkdir -p "$dir"
	for module in "$@"; do
		/sbin/modprobe -d "$root" -S "$release" --show-depends "$module" || return
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
		while read -r file; do
			cp "$file" "$dir/"
			echo "${file##*/}"
		done >"$dir/order"
}

# pack_initrd TREE FILE: barely compressed, since unpacking under TCG takes longer than reading.
pack_initrd() {
	(cd "$1" && find . -print0 | cpio --quiet --null -o -H newc -R 0:0) | gzip -1 >"$2"
}
