using System.Text.RegularExpressions;
using System.Xml.Linq;
using Architecture.Tests.Documents;

namespace Architecture.Tests;

public sealed partial class DocumentTests
{
    private static readonly Lazy<IReadOnlyList<TestMethod>> Catalogue = new(() =>
        TestCatalogue.Read(Repository.Projects().Where(p => p.StartsWith("tests/", StringComparison.Ordinal)).Select(Repository.AssemblyOf)));

    [Fact]
    public void SpecMap_Names_OnlyTestsAndFilesThereAre()
    {
        var tests = Catalogue.Value.Select(t => t.Name).ToHashSet();
        var files = Repository.Files().ToHashSet();
        Expect.None(SpecMap.Violations("docs/spec-map.md", Repository.Read("docs/spec-map.md"), tests, files));
    }

    /// <summary>The commands name files by their path from the directory they are typed in; the web SDK would run programs in the project's instead.</summary>
    [Fact]
    public void DotnetRun_OfTheDocuments_FindsTheFilesItIsGiven()
    {
        Assert.Contains(Repository.Files("docs").Append("README.md"), f => Repository.Read(f).Contains("dotnet run --project", StringComparison.Ordinal));
        Assert.Equal(["false"], XDocument.Parse(Repository.Read("Directory.Build.props")).Descendants("EnableDefaultRunWorkingDirectory").Select(e => e.Value));
    }

    [Fact]
    public void Threats_TableAndAttackTraits_Agree() => Expect.None(Threats.Violations(Repository.Read("docs/threats.md"), Traits("Attack")));

    [Fact]
    public void SuiteTraits_AreThoseThatASuiteRuns()
    {
        var script = Repository.Read("test");
        string[] run = [.. Soaks().Match(script).Groups[1].Value.Split(' '), .. Filters().Matches(script).Select(m => m.Groups[1].Value)];
        Assert.DoesNotContain(Traits("Suite"), t => !run.Contains(t.Number));
    }

    [Fact]
    public void Catalogue_HoldsThisVeryTest() =>
        Assert.Contains(Catalogue.Value, t => t.Name == $"{nameof(DocumentTests)}.{nameof(Catalogue_HoldsThisVeryTest)}");

    [Theory]
    [InlineData("| S256 only (RFC 7636 §4.2) | src/A.cs | `A_Tests.Gone` |", "names the test A_Tests.Gone, which does not exist")]
    [InlineData("| S256 only (RFC 7636 §4.2) | src/A.cs | A_Tests.There, Gone |", "names Gone, which is not Class.Method")]
    [InlineData("| S256 only (RFC 7636 §4.2) | src/Gone.cs | A_Tests.There |", "names src/Gone.cs, which does not exist")]
    [InlineData("| S256 only (RFC 7636 §4.2) | src/A.cs | |", "is not | requirement | file | test |")]
    public void SpecMap_RowThatIsWrong_IsFound(string row, string violation) =>
        Assert.Equal([$"m.md:3 {violation}"], SpecMap.Violations("m.md", $"| r | f | t |\n|---|---|---|\n{row}\n", Set("A_Tests.There"), Set("src/A.cs")));

    [Fact]
    public void SpecMap_RowThatIsRight_IsNotFound() => Assert.Empty(SpecMap.Violations(
        "m.md", "text\n\n| r | f | t |\n|---|---|---|\n| x \\| y | `src/A.cs` | `A_Tests.There`, N.S.A_Tests.There |\n", Set("A_Tests.There"), Set("src/A.cs")));

    [Fact]
    public void SpecMap_NotDone_HasItsReason() => Assert.Equal(
        ["m.md:4 is not | not done | why |", "m.md:5 is not | not done | why |"],
        SpecMap.Violations("m.md", "| not done | why |\n|---|---|\n| x | there is no y |\n| x | |\n| x |\n", Set(), Set()));

    [Theory]
    [InlineData("| 7 | c | o | tested |", "case 7 is called tested, but no test has the trait Attack=7")]
    [InlineData("| 8 | c | o | later |\n| 8 | c | o | later |", "case 8 stands twice (line 4)")]
    [InlineData("| 8 | c | o | soon |", "case 8 has the unknown state soon (line 3)")]
    [InlineData("| 8a | c | o | later |", "line 3 is not | number | case | outcome | state |")]
    [InlineData("| 8 | c | later |", "line 3 is not | number | case | outcome | state |")]
    public void Threats_RowThatIsWrong_IsFound(string rows, string violation) =>
        Assert.Equal([violation], Threats.Violations($"| n | c | o | s |\n|--|--|--|--|\n{rows}\n", []));

    [Fact]
    public void Threats_TraitOfAnUnknownCase_IsFound()
    {
        const string Table = "| n | c | o | s |\n|--|--|--|--|\n| 7 | c | o | tested |\n| 8 | c | o | due |\n";
        Assert.Empty(Threats.Violations(Table, [("7", "A.B"), ("8", "A.C")]));
        Assert.Equal(["A.C tests case 9, which the table does not have"], Threats.Violations(Table, [("7", "A.B"), ("9", "A.C")]));
    }

    private static IReadOnlyCollection<(string Number, string Test)> Traits(string name) =>
        [.. Catalogue.Value.SelectMany(t => t.Traits.Where(r => r.Name == name).Select(r => (r.Value, t.Name)))];

    private static HashSet<string> Set(params string[] items) => [.. items];

    [GeneratedRegex("soaks=\"([^\"]*)\"")]
    private static partial Regex Soaks();

    [GeneratedRegex(@"filter=Suite=(\w+)")]
    private static partial Regex Filters();
}
