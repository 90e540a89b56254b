// Package browser looks at the live page with a real browser, headless Chromium (on Debian the package chromium), while a pipeline
// works behind it. Without Chromium its tests are skipped, and say so; with E2E_DOCKER=required, as continuous integration has it,
// that is a failure.
//
// SCREENSHOTS=docs/images go test ./e2e/browser -run Screenshots takes the pictures of the README.
package browser
