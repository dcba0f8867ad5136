# A thin front: Meson and Ninja build, the scripts do the rest.
#
#   make up        builds and starts a server for localhost in var/; make down stops it
#   make test      proves that everything works (docs/testing.md)
#   make drill     five worms among a few hundred people each, guard off and on: ten minutes;
#                  make drill WORMS=P1: one of them
#   make drill-compare  every worm and trap between two, beside the laboratory's: an hour;
#                  make drill-compare NAMES='P5 B7enc': some of them
#   make lab       measures the guard in virtual time, writes docs/containment.md
#   make bench     Firedoor beside Prosody and ejabberd
#   make fuzz      fuzzes every target for a while: make fuzz SECONDS=600
#   make format    formats the C files
#   make install   binaries, manuals, unit, example: DESTDIR=, PREFIX=

PREFIX ?= /usr/local
DATA ?= ../shared/data
SECONDS ?= 60
WORMS ?= P1 P2 P4 P5 P6

.PHONY: all build packages up down test drill drill-full drill-compare lab bench fuzz format install clean
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

# One seed of each; all of them are run, and a failure of any is one of the whole.
drill: build
	@mkdir -p build/drill
	@failed=0; for worm in $(WORMS); do \
		build/firedoor-drill --worm $$worm --report build/drill/$$worm || failed=$$?; \
		echo; \
	done; exit $$failed

drill-full: build
	build/firedoor-drill --full --report build/drill

drill-compare: build
	drill/compare.py $(NAMES)

# DATA: where benign-trace.tsv and benign-messages.txt are.  Half an hour at least.
lab: build
	@scripts/packages.sh lab
	lab/report.py --data '$(DATA)' --fresh

bench: build
	bench/run.py

fuzz:
	@scripts/packages.sh fuzz
	@scripts/fuzz.sh $(SECONDS)

format:
	@scripts/packages.sh format
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
