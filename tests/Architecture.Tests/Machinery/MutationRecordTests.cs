using McpAuth.Testing;

namespace Architecture.Tests.Machinery;

/// <summary>The mutations run outside of continuous integration; a record of other sources than these says nothing about them.</summary>
public sealed class MutationRecordTests
{
    public static TheoryData<string> Subjects =>
        [.. Directory.GetDirectories(Path.Combine(RepositoryRoot.Path, "tests", "mutations")).Select(d => Path.GetFileName(d)!)];

    [Theory, MemberData(nameof(Subjects))]
    public async Task Record_IsOfTheseSources_AndNoMutantSurvived(string subject)
    {
        await using var check = ChildProcess.Start("bash", [Path.Combine(RepositoryRoot.Path, "tests", "mutations", "run.sh"), "--check", subject], new Dictionary<string, string?>());
        Assert.True(await check.WaitForExitAsync(TimeSpan.FromSeconds(60)) == 0, check.Text);
        Assert.Matches(@"\*\*\d+ caught, 0 survived\*\*", Repository.Read($"docs/mutations/{subject}.md"));
    }
}
