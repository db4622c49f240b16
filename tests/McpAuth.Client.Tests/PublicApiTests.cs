using McpAuth.Testing;

namespace McpAuth.Client.Tests;

public sealed class PublicApiTests
{
    [Fact]
    public void PublicSurface_IsWhatIsPromised() => PublicSurface.AssertIsAsPromised(typeof(AgentSession).Assembly, "src/McpAuth.Client");
}
