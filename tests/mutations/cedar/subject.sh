# What the operators of Cedar mean.
title='Mutations of the Cedar engine'
about='Each mutant changes what an operator, a scope, the index or the decision means; it is caught when a test fails.'
project=McpAuth.Cedar tests=.
packages=FsCheck references=tests/McpAuth.Testing copies='src/McpAuth.Protocol src/McpAuth.Client'
hashed=(src/McpAuth.Cedar)
