using System.Text;

namespace McpAuth.Cedar.Policies;

public sealed partial class Policy
{
    /// <summary>The policy or template as the language writes it, ending with a line feed; a linked one with its entities in place of the slots.</summary>
    public string ToCedar()
    {
        var text = new StringBuilder();
        PolicyText.Append(text, Body);
        return text.ToString();
    }

    public override string ToString() => Id;
}
