namespace McpAuthServer.Registry.Apply;

/// <summary>The published JSON Schema of registry files.</summary>
internal static class ApplySchema
{
    public static string Text
    {
        get
        {
            using var stream = typeof(ApplySchema).Assembly.GetManifestResourceStream("McpAuthServer.Registry.Apply.apply.schema.json")!;
            using var reader = new StreamReader(stream);
            return reader.ReadToEnd();
        }
    }
}
