// Package docker proves what can be proved of the Dockerfile where no Docker engine runs.
//
// What comes in: the Dockerfile, .dockerignore and the checkout. dockerfile.go reads the instructions, context.go says
// which files Docker would send to the build, and the test carries the builder stage out in a temporary folder: its
// COPY instructions copy, its RUN instructions run in a shell, in order, with what its ARG and ENV set. So a file that
// .dockerignore forgets, a download before go.mod is there, or a flag the linker refuses fails here.
//
// What this cannot see: the base images. The last stage is empty, so the test checks that the binary needs nothing in it.
package docker
