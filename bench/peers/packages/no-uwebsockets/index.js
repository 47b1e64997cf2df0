// @deepstream/server asks for it and, with its default HTTP service, does not load it; it is not on npm.
