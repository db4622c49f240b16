using Architecture.Tests.Code;
using McpAuth.Testing;

namespace Architecture.Tests;

public sealed class SlicesTests : IDisposable
{
    private const string Server = "src/McpAuthServer/";

    private readonly TempDirectory directory = new();

    public static TheoryData<string> Ways => [.. BadAssembly.Ways];

    [Fact]
    public void Server_UsesAcrossFolders_GoToTheCoreOnly()
    {
        using var server = new CompiledAssembly(Repository.AssemblyOf(Server + "McpAuthServer.csproj"));
        var uses = server.Uses();
        Assert.Contains(uses, u => u.From.StartsWith("McpAuthServer.", StringComparison.Ordinal));
        Expect.None(Slices.Violations(uses));
    }

    [Fact]
    public void Server_UsingDirectives_GoToTheCoreOnly() =>
        Expect.None(Repository.Files(Server).Where(f => f.EndsWith(".cs", StringComparison.Ordinal))
            .SelectMany(f => Slices.DirectiveViolations(f[Server.Length..], Repository.Read(f))));

    [Theory, MemberData(nameof(Ways))]
    public void Slice_UsingAnotherSliceInAnyWay_IsFound(string way) =>
        Assert.Contains(Judge("McpAuthServer.Grants.TokenEndpoint", "McpAuthServer.Tasks.Ending", way),
            v => v == "McpAuthServer.Grants.TokenEndpoint uses McpAuthServer.Tasks.Ending: slice Grants may not use slice Tasks");

    [Theory, MemberData(nameof(Ways))]
    public void Core_UsingASliceInAnyWay_IsFound(string way) =>
        Assert.NotEmpty(Judge("McpAuthServer.Tokens.Signing.Key", "McpAuthServer.Discovery.Metadata", way));

    [Theory]
    [InlineData("McpAuthServer.Http.OAuthError", "McpAuthServer.Grants.TokenEndpoint")]
    [InlineData("McpAuthServer.Clients.Authentication", "McpAuthServer.Http.OAuthError")]
    public void HttpForms_UsingASlice_OrUsedByTheCore_AreFound(string from, string to) => Assert.NotEmpty(Judge(from, to, "call"));

    [Theory]
    [InlineData("McpAuthServer.Audit.Log", "Microsoft.AspNetCore.Http.HttpContext")]
    [InlineData("McpAuthServer.Clients.Authentication", "Microsoft.AspNetCore.Http.HttpRequest")]
    public void Core_UsingTheRequest_IsFound(string from, string to) => Assert.NotEmpty(Judge(from, to, "call"));

    [Theory]
    [InlineData("McpAuthServer.Grants.TokenEndpoint", "Microsoft.AspNetCore.Http.HttpContext")]
    [InlineData("McpAuthServer.Grants.TokenEndpoint", "McpAuthServer.Tokens.Minting")]
    [InlineData("McpAuthServer.Tokens.Minting", "McpAuthServer.Keys.SigningKey")]
    [InlineData("McpAuthServer.Grants.TokenEndpoint", "McpAuthServer.Http.OAuthError")]
    [InlineData("McpAuthServer.Http.OAuthError", "McpAuthServer.Delegation.Refusal")]
    [InlineData("McpAuthServer.Grants.TokenEndpoint", "McpAuthServer.Grants.Parts.Exchange")]
    [InlineData("McpAuthServer.Endpoints", "McpAuthServer.Grants.TokenEndpoint")]
    [InlineData("McpAuthServer.Grants.TokenEndpoint", "McpAuthServer.ServerOptions")]
    public void Use_ThatMayBe_IsNotFound(string from, string to)
    {
        foreach (var way in BadAssembly.Ways)
            Assert.Empty(Judge(from, to, way));
    }

    [Theory]
    [InlineData("Grants/TokenEndpoint.cs", "using McpAuthServer.Tasks;")]
    [InlineData("Grants/TokenEndpoint.cs", "using static McpAuthServer.Discovery.Paths;")]
    [InlineData("Grants/TokenEndpoint.cs", "using P = McpAuthServer.Discovery.Paths;")]
    [InlineData("Storage/Log.cs", "namespace X;\n  using McpAuthServer.Health;\n")]
    [InlineData("Usings.cs", "global using McpAuthServer.Tasks;")]
    public void Directive_ThatCrossesABorder_IsFound(string file, string source) => Assert.Single(Slices.DirectiveViolations(file, source));

    [Theory]
    [InlineData("Grants/TokenEndpoint.cs", "using McpAuthServer.Tokens;\nusing McpAuthServer.Grants.Parts;\nusing System.Text;")]
    [InlineData("Program.cs", "using McpAuthServer.Tasks;\nusing McpAuthServer.Grants;")]
    [InlineData("Usings.cs", "global using McpAuthServer.Storage;")]
    public void Directive_ThatMayBe_IsNotFound(string file, string source) => Assert.Empty(Slices.DirectiveViolations(file, source));

    public void Dispose() => directory.Dispose();

    private IReadOnlyList<string> Judge(string from, string to, string way)
    {
        using var assembly = new CompiledAssembly(BadAssembly.Write(directory, from, to, way));
        return [.. Slices.Violations(assembly.Uses())];
    }
}
