using System.Text;
using System.Text.RegularExpressions;
using Architecture.Tests.Code;

namespace Architecture.Tests;

public sealed partial class SourceTextTests
{
    public static TheoryData<string> Sources => [.. Repository.Projects().Where(p => p.StartsWith("src/", StringComparison.Ordinal))];

    [Theory, MemberData(nameof(Sources))]
    public void Namespace_OfEveryFile_IsItsFolder(string project)
    {
        var folder = project[..(project.LastIndexOf('/') + 1)];
        var declared = RootNamespace().Match(Repository.Read(project));
        var root = declared.Success ? declared.Groups[1].Value : Path.GetFileNameWithoutExtension(project);
        Expect.None(Repository.Files(folder).Where(f => f.EndsWith(".cs", StringComparison.Ordinal))
            .SelectMany(f => SourceText.NamespaceViolations(f[folder.Length..], root, Repository.Read(f))));
    }

    [Fact]
    public void Repository_SaysNothing_Banned() =>
        Expect.None(Repository.Files().SelectMany(f => TextOf(f) is { } text ? SourceText.BannedViolations(f, text) : []));

    [Theory]
    [InlineData("Grants/TokenEndpoint.cs", "namespace McpAuthServer.Tokens;\ninternal sealed class TokenEndpoint;")]
    [InlineData("Grants/Parts/Exchange.cs", "namespace McpAuthServer.Grants;")]
    [InlineData("Options.cs", "namespace McpAuthServer.Grants\n{\n}")]
    [InlineData("Grants/TokenEndpoint.cs", "internal sealed class TokenEndpoint;")]
    [InlineData("Grants/TokenEndpoint.cs", "namespace Microsoft.AspNetCore.Builder;")]
    [InlineData("GrantExtensions.cs", "namespace Microsoft.AspNetCore.Http;")]
    public void Namespace_OfAnotherFolder_IsFound(string file, string source) =>
        Assert.Single(SourceText.NamespaceViolations(file, "McpAuthServer", source));

    [Theory]
    [InlineData("Grants/Parts/Exchange.cs", "using System;\n\nnamespace McpAuthServer.Grants.Parts;\n\nclass Exchange;")]
    [InlineData("Program.cs", "Console.WriteLine();\npublic partial class Program;")]
    [InlineData("GrantExtensions.cs", "namespace Microsoft.AspNetCore.Builder;\npublic static class GrantExtensions;")]
    [InlineData("Grants/Usings.cs", "global using System.Text;")]
    [InlineData("Grants/Words.cs", "namespace McpAuthServer.Grants;\n\nclass Words\n{\n    const string Text = @\"\n        namespace Other {\";\n}")]
    public void Namespace_OfItsFolder_IsNotFound(string file, string source) =>
        Assert.Empty(SourceText.NamespaceViolations(file, "McpAuthServer", source));

    [Theory]
    [InlineData("docs/guide.md", "Run it in {0}work/main.")]
    [InlineData("README.md", "{0}root/.nuget holds it")]
    [InlineData("tests/X/A.cs", "var file = \"{0}work/shared/vectors\";")]
    public void PathOfAMachine_IsFound(string file, string text) =>
        Assert.Single(SourceText.BannedViolations(file, text.Replace("{0}", "/", StringComparison.Ordinal)));

    [Theory]
    [InlineData("src/McpAuthServer/Program.cs", "https://files.example{0}work/item")]
    [InlineData("test", "$HOME{0}root/x ../work/y workload{0}rooted")]
    public void PathOfNoMachine_IsNotFound(string file, string text) =>
        Assert.Empty(SourceText.BannedViolations(file, text.Replace("{0}", "/", StringComparison.Ordinal)));

    [Fact]
    public void NotImplemented_InSrc_IsFoundWithItsLine()
    {
        const string Source = "class A\n{\n    public void B() => throw new NotImplementedException();\n}";
        Assert.Equal(["src/McpAuth.Client/A.cs:3 throws NotImplementedException"], SourceText.BannedViolations("src/McpAuth.Client/A.cs", Source));
        Expect.None(SourceText.BannedViolations("tests/X/A.cs", Source));
    }

    /// <summary>Null for what is no text.</summary>
    private static string? TextOf(string file)
    {
        var bytes = File.ReadAllBytes(Path.Combine(Repository.Root, file));
        return bytes.AsSpan(0, Math.Min(bytes.Length, 8000)).Contains((byte)0) ? null : Encoding.UTF8.GetString(bytes);
    }

    [GeneratedRegex("<RootNamespace>([^<]+)</RootNamespace>")]
    private static partial Regex RootNamespace();
}
