using McpAuth.Testing;

namespace McpGuard.Sdk.Tests;

public sealed class PublicApiTests
{
    [Fact]
    public void PublicSurface_IsWhatIsPromised() => PublicSurface.AssertIsAsPromised(typeof(McpGuardOptions).Assembly, "src/McpGuard.Sdk");
}
