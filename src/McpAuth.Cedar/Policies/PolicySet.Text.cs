namespace McpAuth.Cedar.Policies;

public sealed partial class PolicySet
{
    /// <summary>
    /// Reads policies and templates of the Cedar language, version 4.5. Nothing is thrown for any text: there is a set, or there are errors, each with its
    /// place, at most <see cref="Limits.Errors"/> of them.
    /// </summary>
    /// <param name="text">At most <see cref="Limits.Text"/> characters.</param>
    /// <param name="ids">How the policies are named.</param>
    public static Parsed<PolicySet> Parse(string text, PolicyIds ids = PolicyIds.Numbered)
    {
        ArgumentNullException.ThrowIfNull(text);
        return PolicyParser.Read(text, ids);
    }
}
