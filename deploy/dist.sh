#!/bin/sh
# Builds what is published into target/dist/latchwork-VERSION-TARGET: the stripped binary, its bill of materials, manual
# pages, completions, the unit, the container's definition, and the checksums of all of them.
set -eu

cd "$(dirname "$0")/.."
target_dir="${CARGO_TARGET_DIR:-target}"
target=$(rustc -vV | sed -n 's/^host: //p')
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
out="$target_dir/dist/latchwork-$version-$target"

# What is built is what the lock file says, or nothing is.
cargo build --profile dist --locked -p gateway --bin latchwork --example sbom

rm -rf "$out"
mkdir -p "$out/man" "$out/completions"
install -m 0755 "$target_dir/dist/latchwork" "$out/latchwork"
"$target_dir/dist/examples/sbom" "$target" "$out/latchwork.cdx.json"
"$out/latchwork" man "$out/man" >/dev/null
for shell in bash zsh fish; do
    "$out/latchwork" completions "$shell" >"$out/completions/latchwork.$shell"
done
install -m 0644 LICENSE README.md CHANGELOG.md "$out/"
install -m 0644 deploy/docker/Containerfile deploy/systemd/latchwork.service "$out/"
(cd "$out" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
echo "$out"
