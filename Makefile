# A thin front: Meson and Ninja build, the scripts do the rest.
#
#   make up        builds and starts a server for localhost in var/; make down stops it
#   make test      proves that everything works (docs/testing.md)
#   make drill     a worm among a few hundred people, guard off and on
#   make lab       measures the guard in virtual time, writes docs/containment.md
#   make bench     Firedoor beside Prosody and ejabberd
#   make fuzz      fuzzes every target for a while: make fuzz SECONDS=600
#   make format    formats the C files
#   make install   binaries, manuals, unit, example: DESTDIR=, PREFIX=

PREFIX ?= /usr/local
DATA ?= ../shared/data
SECONDS ?= 60

.PHONY: all build packages up down test drill drill-full lab bench fuzz format install clean
all: build

packages:
	@scripts/packages.sh

build: packages
	@[ -f build/build.ninja ] || meson setup build --buildtype=release
	@ninja -C build

up:
	@scripts/up.sh

down:
	@scripts/down.sh

test:
	@scripts/test.sh

drill: build
	build/firedoor-drill --report build/drill

drill-full: build
	build/firedoor-drill --full --report build/drill

# DATA: where benign-trace.tsv and benign-messages.txt are.  Half an hour at least.
lab: build
	@scripts/packages.sh lab
	lab/report.py --data '$(DATA)' --fresh

bench: build
	bench/run.py

fuzz:
	@scripts/fuzz.sh $(SECONDS)

format:
	git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

# A build directory of its own: the one that is used for work keeps its settings.
install: packages
	@if [ -f build-install/build.ninja ]; then \
		meson configure build-install -Dprefix='$(PREFIX)'; \
	else \
		meson setup build-install --buildtype=release -Dprefix='$(PREFIX)'; \
	fi
	ninja -C build-install
	DESTDIR='$(DESTDIR)' meson install -C build-install --no-rebuild

clean:
	rm -rf build build-*
