namespace Architecture.Tests;

internal static class Expect
{
    /// <summary>Fails with every violation in full; what an assertion on collections prints stops after a few.</summary>
    public static void None(IEnumerable<string> violations)
    {
        var all = violations.ToList();
        Assert.True(all.Count == 0, string.Join('\n', all));
    }
}
