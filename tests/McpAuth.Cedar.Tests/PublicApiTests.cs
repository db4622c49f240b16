using McpAuth.Cedar.Evaluation;
using McpAuth.Testing;

namespace McpAuth.Cedar.Tests;

public sealed class PublicApiTests
{
    [Fact]
    public void PublicSurface_IsWhatIsPromised() => PublicSurface.AssertIsAsPromised(typeof(Authorizer).Assembly, "src/McpAuth.Cedar");
}
