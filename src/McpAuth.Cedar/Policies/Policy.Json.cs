namespace McpAuth.Cedar.Policies;

public sealed partial class Policy
{
    /// <summary>The JSON form of this policy or template, without its id; of a linked one with its entities in place of the slots.</summary>
    public string ToJson() => PolicyJsonWriter.Write(to => PolicyJsonWriter.Write(to, Body));
}
