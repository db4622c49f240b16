using Architecture.Tests.Code;
using McpAuth.Testing;

namespace Architecture.Tests;

public sealed class AspNetFreeTests
{
    [Theory]
    [InlineData("src/McpAuth.Protocol/McpAuth.Protocol.csproj")]
    [InlineData("src/McpAuth.Client/McpAuth.Client.csproj")]
    public void Library_ForAnyProcess_TouchesNoAspNetCore(string project)
    {
        using var assembly = new CompiledAssembly(Repository.AssemblyOf(project));
        Assert.Empty(AspNetFree.Violations(assembly.References, assembly.Uses()));
    }

    [Fact]
    public void AspNetCore_AsATypeOrAReference_IsFound()
    {
        using var directory = new TempDirectory();
        using var assembly = new CompiledAssembly(
            BadAssembly.Write(directory, "McpAuth.Client.Discovery", "Microsoft.AspNetCore.Http.HttpContext", "parameter"));
        Assert.Single(AspNetFree.Violations(assembly.References, assembly.Uses()));
        Assert.Single(AspNetFree.Violations(["Microsoft.AspNetCore.Http.Abstractions", "Microsoft.IdentityModel.Tokens"], []));
    }

    [Theory]
    [InlineData(typeof(System.Text.Json.JsonSerializer))]
    [InlineData(typeof(Enumerable))]
    [InlineData(typeof(Microsoft.AspNetCore.Server.Kestrel.Core.KestrelServer))]
    public void Reader_OnLargeAssemblies_LosesNoStep(Type type)
    {
        using var assembly = new CompiledAssembly(type.Assembly.Location);
        Assert.True(assembly.Uses().Count > 100);
    }

    [Fact]
    public void Guard_WhichIsAspNetCore_WouldBeFound()
    {
        using var guard = new CompiledAssembly(Repository.AssemblyOf("src/McpGuard.Sdk/McpGuard.Sdk.csproj"));
        Assert.NotEmpty(AspNetFree.Violations(guard.References, guard.Uses()));
    }
}
