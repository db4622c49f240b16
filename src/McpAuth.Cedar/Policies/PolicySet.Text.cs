using System.Text;

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

    /// <summary>
    /// All policies and templates as the language writes them, in the order they were read or added: one layout, whatever they were read from. A linked
    /// policy is written as the policy that it is; the language has no links. Ids are not written, unless an annotation holds them.
    /// </summary>
    public string ToCedar()
    {
        var text = new StringBuilder();
        foreach (Policy policy in byId.Values)
        {
            if (text.Length > 0) text.Append('\n');
            PolicyText.Append(text, policy.Body);
        }
        return text.ToString();
    }
}
