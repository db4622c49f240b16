namespace McpAuth.Cedar.Policies;

public sealed partial class PolicySet
{
    /// <summary>
    /// Reads the JSON form of policies: <c>{"staticPolicies":{},"templates":{},"templateLinks":[]}</c> with ids as names, of which the last two may be
    /// absent; or one policy or template by itself, which is named <c>policy0</c>. A member that stands twice or is unknown is an error. Nothing is thrown
    /// for any document; errors name their place as a path.
    /// </summary>
    /// <param name="utf8">At most <see cref="Limits.Text"/> bytes.</param>
    public static Parsed<PolicySet> ParseJson(ReadOnlySpan<byte> utf8) => PolicyJsonReader.Read(utf8);

    /// <summary>The JSON form with all policies, templates and links; <see cref="ParseJson"/> reads the same from it.</summary>
    public string ToJson() => PolicyJsonWriter.Write(to => PolicyJsonWriter.Write(to, this));
}
