using McpAuth.Testing;

namespace McpGuard.Sdk.Tests;

public sealed class GuardGuideTests
{
    [Fact]
    public async Task Guide_HasEveryOption()
    {
        string guide = await File.ReadAllTextAsync(Path.Combine(RepositoryRoot.Path, "docs", "guard.md"));
        Assert.All(typeof(McpGuardOptions).GetProperties(), option => Assert.Matches($@"(?m)^\| .*`{option.Name}`.* \|", guide));
    }
}
