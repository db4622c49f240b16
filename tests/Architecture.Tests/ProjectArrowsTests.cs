using System.Text.RegularExpressions;
using Architecture.Tests.Code;

namespace Architecture.Tests;

public sealed partial class ProjectArrowsTests
{
    public static TheoryData<string> Judged => [.. Repository.Projects().Where(p => p.StartsWith("src/") || p.StartsWith("samples/"))];

    [Theory, MemberData(nameof(Judged))]
    public void ProjectFile_RefersTo_OnlyWhatItMay(string project) =>
        Expect.None(ProjectArrows.Violations(project, ProjectArrows.References(Repository.Read(project))));

    [Theory, MemberData(nameof(Judged))]
    public void CompiledProject_RefersTo_OnlyWhatItMay(string project)
    {
        using var assembly = new CompiledAssembly(Repository.AssemblyOf(project));
        Expect.None(ProjectArrows.CompiledViolations(project, assembly.References));
    }

    [Fact]
    public void Solution_HoldsEveryProject_SoThatOneBuildBuildsAll()
    {
        var solution = SolutionProject().Matches(Repository.Read("McpAuth.sln")).Select(m => m.Groups[1].Value.Replace('\\', '/'));
        Assert.Equal(Repository.Projects(), solution.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("src/McpAuthServer/McpAuthServer.csproj", "McpGuard.Sdk")]
    [InlineData("src/McpAuthServer/McpAuthServer.csproj", "McpAuth.Client")]
    [InlineData("src/McpGuard.Sdk/McpGuard.Sdk.csproj", "McpAuthServer")]
    [InlineData("src/McpAuth.Client/McpAuth.Client.csproj", "McpGuard.Sdk")]
    [InlineData("src/McpAuth.Protocol/McpAuth.Protocol.csproj", "McpAuth.Client")]
    [InlineData("src/McpAuth.Unheard/McpAuth.Unheard.csproj", "McpAuth.Protocol")]
    [InlineData("samples/McpToolServer/McpToolServer.csproj", "McpAuthServer")]
    public void Arrow_ThatMayNotBe_IsFoundInProjectFileAndAssembly(string project, string reference)
    {
        var xml = $"""<Project Sdk="x"><ItemGroup><ProjectReference Include="..\{reference}\{reference}.csproj" /></ItemGroup></Project>""";
        Assert.Single(ProjectArrows.Violations(project, ProjectArrows.References(xml)));
        Assert.Single(ProjectArrows.CompiledViolations(project, [reference, "System.Runtime"]));
    }

    [Fact]
    public void Arrow_ThroughAnAllowedProject_IsAllowedOnlyInTheAssembly()
    {
        const string Sample = "samples/McpToolServer/McpToolServer.csproj";
        Assert.Single(ProjectArrows.Violations(Sample, ["McpAuth.Protocol"]));
        Assert.Empty(ProjectArrows.CompiledViolations(Sample, ["McpGuard.Sdk", "McpAuth.Protocol"]));
    }

    [GeneratedRegex(@", ""([^""]+\.csproj)""")]
    private static partial Regex SolutionProject();
}
